/**
 * The newest messages of the log, before they settle (settle-sqlite.ts): each batch is one row of the journal, and the
 * memory answers for what is in it. After a crash the journal does.
 */
import { EntryReader } from "./entry-sqlite.ts";
import type { Place, Places } from "./places-sqlite.ts";
import { RecentRetries } from "./retries-sqlite.ts";
import type { RetryHash } from "./retry-hash-sqlite.ts";
import type { MessageRow } from "./runs-sqlite.ts";
import type { SqliteFile } from "./sqlite-file.ts";

/** A row of the journal. */
export class RecentRow {
  id = 0;
  bytes: Buffer = Buffer.alloc(0);
  readonly messages: Recent[] = [];
  marked = 0;
}

/** A message: its entry stands in the row from `from` to `end`, and the message itself from `content` on. */
export class Recent {
  readonly senderId: number;
  readonly messageId: string;
  readonly at: number;
  readonly from: number;
  readonly content: number;
  readonly end: number;
  /** Another message of the same `retry`. */
  other: Recent | undefined;

  /**
   * @param retry the hash of what it has in common with its retries
   * @param marked to be pushed
   */
  constructor(
    readonly place: Place,
    readonly seq: number,
    readonly retry: number,
    attempt: { senderId: number; messageId: string; at: number },
    readonly row: RecentRow,
    entry: { from: number; content: number; end: number },
    public marked: boolean,
  ) {
    this.senderId = attempt.senderId;
    this.messageId = attempt.messageId;
    this.at = attempt.at;
    this.from = entry.from;
    this.content = entry.content;
    this.end = entry.end;
    this.other = undefined;
  }
}

export class RecentMessages {
  readonly #file: SqliteFile;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #retries = new RecentRetries();
  readonly #places = new Set<Place>();
  #rows: RecentRow[] = [];
  #count = 0;
  #bytes = 0;
  /** The first row of which something is to be pushed, by its index; and the id of the one before it. */
  #firstMarked = 0;
  #pushed = 0;

  constructor(file: SqliteFile) {
    this.#file = file;
    this.#statements = prepare(file);
  }

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The newest row of the journal. */
  get lastRow(): number {
    return this.#rows.at(-1)?.id ?? 0;
  }

  /** The conversations they are of; neighbours in the tables lie on one page. */
  places(): Place[] {
    return [...this.#places].sort((a, b) => a.id - b.id);
  }

  /** Reads what a crash left in the journal. */
  recover(places: Places, hash: RetryHash): void {
    const known = new Map<number, Place>();
    const placeOf = (id: number) => known.getOrInsertComputed(id, () => places.byId(id));
    const rows = this.#statements.journal.all();
    const pushed = Math.max(0, ...rows.map((row) => row.pushed));
    for (const { id, entries } of rows) {
      const row = new RecentRow();
      [row.id, row.bytes] = [id, Buffer.from(entries)];
      for (const reader = new EntryReader(entries); !reader.done; ) {
        const place = placeOf(reader.number());
        reader.next();
        if (reader.seq <= place.settled) continue;
        const retry = hash.of(place.id, reader.senderId, reader.messageId);
        row.messages.push(new Recent(place, reader.seq, retry, reader, row, reader, id > pushed));
      }
      this.keep(row);
    }
    // Some were forgotten meanwhile for others, before their messages were here.
    for (const place of known.values()) places.remember(place);
  }

  /** The message whose retry this is, if it is here. */
  find(retry: number, conversation: number, senderId: number, messageId: string): Recent | undefined {
    return this.#retries.find(retry, conversation, senderId, messageId);
  }

  /** Within the transaction that accepts them: writes the row, and answers its id. */
  write(bytes: Uint8Array): number {
    return Number(this.#statements.write.run(this.#pushed, bytes).lastInsertRowid);
  }

  /** That transaction stands. */
  keep(row: RecentRow): void {
    this.#rows.push(row);
    for (const message of row.messages) {
      const { place } = message;
      if (place.recent.length === 0) this.#places.add(place);
      place.recent.push(message);
      this.#retries.add(message);
      if (message.marked) row.marked++;
      this.#bytes += message.end - message.from;
    }
    this.#count += row.messages.length;
  }

  /** Takes the mark off; answers whether the message is here. */
  push(place: Place, seq: number): boolean {
    const message = place.recent[seq - place.settled - 1];
    if (message) this.#unmark(message);
    return message !== undefined;
  }

  /** Marked ones accepted before `at`, in the order in which they were accepted. */
  *marked(at: number): Iterable<Recent> {
    for (const row of this.#rows) {
      if (row.marked === 0) continue;
      for (const message of row.messages) if (message.marked && message.at < at) yield message;
    }
  }

  /** Whether some were accepted before `at`. */
  holds(at: number): boolean {
    return this.#rows.some(({ messages }) => messages.some((message) => message.at < at));
  }

  /** The first `count` of the conversation have settled. */
  settled(place: Place, count: number): void {
    for (const message of place.recent.splice(0, count)) {
      this.#retries.remove(message);
      this.#bytes -= message.end - message.from;
      // From here on the table knows that it is to be pushed.
      this.#unmark(message);
    }
    this.#count -= count;
    place.settled += count;
    if (place.recent.length === 0) this.#places.delete(place);
  }

  /** All of the rows up to this one have settled. */
  forget(through: number): void {
    this.#file.writeNow(() => this.#statements.forget.run(through));
    this.#rows = this.#rows.filter(({ id }) => id > through);
    this.#firstMarked = 0;
  }

  #unmark(message: Recent): void {
    if (!message.marked) return;
    message.marked = false;
    message.row.marked--;
    for (let row = this.#rows[this.#firstMarked]; row?.marked === 0; row = this.#rows[++this.#firstMarked])
      this.#pushed = row.id;
  }
}

/** The message as a reader gets it. */
export function rowOf({ seq, row, content, end }: Recent): MessageRow {
  const bytes = new Uint8Array(end - content);
  row.bytes.copy(bytes, 0, content, end);
  return { seq, bytes };
}

function prepare(file: SqliteFile) {
  return {
    journal: file.prepare<{ id: number; pushed: number; entries: Uint8Array }, []>(
      "SELECT id, pushed, entries FROM journal WHERE id > 0 ORDER BY id",
    ),
    write: file.prepare<unknown, [number, Uint8Array]>("INSERT INTO journal (pushed, entries) VALUES (?, ?)"),
    forget: file.prepare<unknown, [number]>("DELETE FROM journal WHERE id <= ?"),
  };
}
