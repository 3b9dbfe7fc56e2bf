/**
 * The messages that have settled. A row is a run of them, of one conversation and in the order of their seqs: what
 * settles together costs one row and one place in an index. Where retention took some out of it, a run has holes.
 */
import { EntryReader } from "./entry-sqlite.ts";
import type { SqliteFile } from "./sqlite-file.ts";

/** A run holds no more, but for a single message that is larger. Four fit on a page: larger ones leave more of it empty. */
const MAX_RUN_BYTES = 2000;
/** Who looks for one message reads no more than this. */
const MAX_RUN_MESSAGES = 64;

export interface MessageRow {
  seq: number;
  bytes: Uint8Array;
}

export class Runs {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(file: Pick<SqliteFile, "prepare">) {
    this.#statements = prepare(file);
  }

  /** Messages after `seq`, oldest first. */
  *after(conversation: number, seq: number): Iterable<MessageRow> {
    for (const { entries } of this.#statements.after.iterate(conversation, seq)) {
      const reader = new EntryReader(entries);
      while (reader.next()) if (reader.seq > seq) yield { seq: reader.seq, bytes: reader.bytes() };
    }
  }

  /** Messages before `seq`, newest first. */
  *before(conversation: number, seq: number): Iterable<MessageRow> {
    const cut = this.#statements.holding.get(conversation, seq);
    if (cut) yield* rowsBefore(cut.entries, seq);
    for (const { entries } of this.#statements.before.iterate(conversation, seq))
      yield* rowsBefore(entries, seq);
  }

  /** Stands at the message of this `seq`; null when it is not kept. */
  find(conversation: number, seq: number): EntryReader | null {
    const run = this.#statements.holding.get(conversation, seq);
    if (run === null) return null;
    const reader = new EntryReader(run.entries);
    return reader.find(seq) ? reader : null;
  }
}

function rowsBefore(entries: Uint8Array, seq: number): MessageRow[] {
  const rows: MessageRow[] = [];
  const reader = new EntryReader(entries);
  while (reader.next() && reader.seq < seq) rows.push({ seq: reader.seq, bytes: reader.bytes() });
  return rows.reverse();
}

// In the order of the index. With ORDER BY, SQLite compiles a statement anew at each call: 12 µs instead of 4.
function prepare(file: Pick<SqliteFile, "prepare">) {
  type Row = { entries: Uint8Array };
  return {
    after: file.prepare<Row, [number, number]>(
      "SELECT entries FROM runs INDEXED BY runs_place WHERE conversation = ? AND last > ?",
    ),
    holding: file.prepare<Row, [number, number]>(
      "SELECT entries FROM runs INDEXED BY runs_place WHERE conversation = ? AND last >= ? LIMIT 1",
    ),
    before: file.prepare<Row, [number, number]>(
      "SELECT entries FROM runs WHERE conversation = ? AND last < ? ORDER BY last DESC",
    ),
  };
}

/** Puts messages that settle together into runs, within a transaction. */
export class RunWriter {
  readonly #insert;
  readonly #slice;
  /** Of the next run: an id is not given again while a slice counts it in. */
  #nextId: number;
  #firstId = 0;
  #oldest = Number.POSITIVE_INFINITY;
  // The run under way.
  #conversation = 0;
  #first = 0;
  #last = 0;
  #oldestOfRun = 0;
  #count = 0;
  #length = 0;
  #entries = new Uint8Array(MAX_RUN_BYTES);

  constructor(file: Pick<SqliteFile, "prepare">) {
    this.#insert = file.prepare<unknown, [number, number, number, number, number, Uint8Array]>(
      "INSERT INTO runs (id, conversation, first, last, oldest, entries) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#slice = file.prepare<unknown, [number, number, number]>(
      "INSERT INTO slices (last_id, first_id, oldest) VALUES (?, ?, ?)",
    );
    const last = file.prepare<{ id: number | null }, []>("SELECT max(last_id) AS id FROM slices");
    this.#nextId = (last.get()?.id ?? 0) + 1;
  }

  begin(): void {
    this.#firstId = this.#nextId;
    this.#oldest = Number.POSITIVE_INFINITY;
    this.#count = 0;
    this.#length = 0;
  }

  /** The message whose entry stands in `row` from `from` to `end`; after those of its conversation that precede it. */
  add(conversation: number, seq: number, at: number, row: Buffer, from: number, end: number): void {
    const length = this.#length + end - from;
    if (
      this.#count > 0 &&
      (conversation !== this.#conversation || this.#count === MAX_RUN_MESSAGES || length > MAX_RUN_BYTES)
    )
      this.#write();
    if (this.#count === 0) {
      this.#conversation = conversation;
      this.#first = seq;
      this.#oldestOfRun = at;
      if (end - from > this.#entries.length) this.#entries = new Uint8Array(end - from);
    }
    // A quarter of what it costs with a view.
    this.#length += row.copy(this.#entries, this.#length, from, end);
    this.#count++;
    this.#last = seq;
    this.#oldestOfRun = Math.min(this.#oldestOfRun, at);
  }

  /** Writes what is left, and for retention what came together since `begin`. */
  end(): void {
    if (this.#count > 0) this.#write();
    if (this.#nextId > this.#firstId) this.#slice.run(this.#nextId - 1, this.#firstId, this.#oldest);
  }

  #write(): void {
    const entries = this.#entries.subarray(0, this.#length);
    this.#insert.run(this.#nextId++, this.#conversation, this.#first, this.#last, this.#oldestOfRun, entries);
    this.#oldest = Math.min(this.#oldest, this.#oldestOfRun);
    this.#count = 0;
    this.#length = 0;
  }
}
