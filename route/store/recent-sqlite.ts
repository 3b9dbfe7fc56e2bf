/**
 * The newest messages of the log, on their way to the table. In a table with indexes each conversation that a batch
 * touches costs a page or two; so a batch is first one row of a journal, and what came together is settled later, the
 * messages of each conversation side by side. Until then the memory answers for them, and after a crash the journal.
 */
import { setImmediate } from "node:timers/promises";
import { CimError } from "../../proto/status.ts";
import { decodeJournal, encodeJournal, type JournalEntry } from "./journal-sqlite.ts";
import type { Place, Places } from "./places-sqlite.ts";
import type { SqliteFile } from "./sqlite-file.ts";

export interface Recent extends JournalEntry {
  readonly place: Place;
  /** To be pushed. */
  marked: boolean;
  readonly row: Row;
  readonly retry: string;
}

interface Row {
  id: number;
  entries: Recent[];
  marked: number;
}

/** What is held before it is settled; and at the most, before appending waits for that. */
const SETTLE_MESSAGES = 16 * 1024;
const SETTLE_BYTES = 8 * 1024 * 1024;
const MOST = 4;
/** Without more to come, what is held settles after this. */
const SETTLE_AFTER_MS = 1000;
/** Messages settled before others have their turn. */
const SLICE = 512;

export class RecentMessages {
  readonly #file: SqliteFile;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #byRetry = new Map<string, Recent>();
  readonly #places = new Set<Place>();
  #rows: Row[] = [];
  #messages = 0;
  #bytes = 0;
  /** The first row of which something is to be pushed, by its index; and the id of the one before it. */
  #firstMarked = 0;
  #pushed = 0;
  /** Of the next message in the table: an id is not given again while a slice counts it in. */
  #nextId: number;
  #settling: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(file: SqliteFile) {
    this.#file = file;
    this.#statements = prepare(file);
    this.#nextId = (this.#statements.lastId.get()?.id ?? 0) + 1;
  }

  /** Reads what a crash left in the journal. */
  recover(places: Places): void {
    const known = new Map<number, Place>();
    const placeOf = (id: number) => known.getOrInsertComputed(id, () => places.byId(id));
    const rows = this.#statements.journal.all();
    const pushed = Math.max(0, ...rows.map((row) => row.pushed));
    for (const { id, entries } of rows) {
      const row: Row = { id, entries: [], marked: 0 };
      for (const entry of decodeJournal(entries)) {
        const place = placeOf(entry.conversation);
        if (entry.seq <= place.settled) continue;
        this.#hold(retryKey(place.id, entry.senderId, entry.messageId), place, entry, row, id > pushed);
      }
      this.#rows.push(row);
    }
    if (rows.length > 0) this.#soon();
  }

  /** The message of this `retryKey`, if it is here. */
  find(retry: string): Recent | undefined {
    return this.#byRetry.get(retry);
  }

  /** Within the transaction that accepts them: writes the messages as one row, and answers its id. */
  write(entries: readonly JournalEntry[]): number {
    return Number(this.#statements.write.run(this.#pushed, encodeJournal(entries)).lastInsertRowid);
  }

  /** That transaction stands. All of the messages are to be pushed. */
  keep(id: number, entries: ReadonlyMap<string, { place: Place; entry: JournalEntry }>): void {
    const row: Row = { id, entries: [], marked: 0 };
    for (const [retry, { place, entry }] of entries) this.#hold(retry, place, entry, row, true);
    this.#rows.push(row);
    if (this.#messages >= SETTLE_MESSAGES || this.#bytes >= SETTLE_BYTES) void this.settle();
    else this.#soon();
  }

  /** Resolves when there is room for more. */
  async room(): Promise<void> {
    if (this.#messages >= MOST * SETTLE_MESSAGES || this.#bytes >= MOST * SETTLE_BYTES) await this.settle();
  }

  /** Takes the mark off; answers whether the message is here. */
  push(place: Place, seq: number): boolean {
    const entry = place.recent[seq - place.settled - 1];
    if (entry) this.#unmark(entry);
    return entry !== undefined;
  }

  /** Marked ones accepted before `at`, at most `limit`, in the order in which they were accepted. */
  marked(at: number, limit: number): Recent[] {
    const found: Recent[] = [];
    for (const row of this.#rows) {
      if (row.marked === 0) continue;
      for (const entry of row.entries) {
        if (found.length === limit) return found;
        if (entry.marked && entry.at < at) found.push(entry);
      }
    }
    return found;
  }

  /** Whether some were accepted before `at`. */
  holds(at: number): boolean {
    return this.#rows.some(({ entries }) => entries.some((entry) => entry.at < at));
  }

  /** Moves everything that is here by now to the table. What cannot be moved, since the disk is full, stays. */
  settle(): Promise<void> {
    this.#settling ??= this.#settle().finally(() => {
      this.#settling = null;
      if (this.#messages > 0) this.#soon();
    });
    return this.#settling;
  }

  /** The same, before anything else happens. */
  settleNow(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#rows.length === 0) return;
    this.#unlessFailed(() => {
      for (const _ of this.#slices());
    });
  }

  async #settle(): Promise<void> {
    const slices = this.#slices()[Symbol.iterator]();
    while (this.#unlessFailed(() => !slices.next().done)) await setImmediate();
  }

  /** A file without room, or closed, keeps what is here in its journal; it says so itself (trouble). */
  #unlessFailed<T>(work: () => T): T | null {
    try {
      return work();
    } catch (error) {
      if (error instanceof CimError) return null;
      throw error;
    }
  }

  *#slices(): Iterable<void> {
    const through = this.#rows.at(-1)?.id ?? 0;
    // Neighbours in the table lie on one page.
    const places = [...this.#places].sort((a, b) => a.id - b.id);
    let slice: { place: Place; count: number }[] = [];
    let room = SLICE;
    for (const place of places) {
      for (let left = place.recent.length; left > 0; ) {
        const count = Math.min(room, left);
        slice.push({ place, count });
        left -= count;
        room -= count;
        if (room > 0) continue;
        this.#move(slice);
        yield;
        slice = [];
        room = SLICE;
      }
    }
    this.#move(slice);
    this.#file.writeNow(() => this.#statements.forget.run(through));
    this.#rows = this.#rows.filter(({ id }) => id > through);
    this.#firstMarked = 0;
  }

  #move(slice: readonly { place: Place; count: number }[]): void {
    if (slice.length === 0) return;
    const { insert, mark, settled, slice: together } = this.#statements;
    this.#file.writeNow(() => {
      const first = this.#nextId;
      let id = first;
      let oldest = Number.POSITIVE_INFINITY;
      for (const { place, count } of slice) {
        for (const entry of place.recent.slice(0, count)) {
          const { seq, senderId, messageId, at, bytes } = entry;
          if (entry.marked) mark.run(at, id);
          insert.run(id++, place.id, seq, senderId, messageId, at, bytes);
          oldest = Math.min(oldest, at);
        }
        settled.run(place.settled + count, place.id);
      }
      together.run(id - 1, first, oldest);
    });
    for (const { place, count } of slice) {
      this.#nextId += count;
      for (const entry of place.recent.splice(0, count)) this.#drop(entry);
      place.settled += count;
      if (place.recent.length === 0) this.#places.delete(place);
    }
  }

  #hold(retry: string, place: Place, entry: JournalEntry, row: Row, marked: boolean): void {
    const { conversation, seq, senderId, messageId, at, bytes } = entry;
    const held = { conversation, seq, senderId, messageId, at, bytes, place, marked, row, retry };
    place.recent.push(held);
    this.#places.add(place);
    this.#byRetry.set(retry, held);
    row.entries.push(held);
    if (marked) row.marked++;
    this.#messages++;
    this.#bytes += bytes.length;
  }

  #drop(entry: Recent): void {
    this.#byRetry.delete(entry.retry);
    this.#messages--;
    this.#bytes -= entry.bytes.length;
    // From here on the table knows that it is to be pushed.
    this.#unmark(entry);
  }

  #unmark(entry: Recent): void {
    if (!entry.marked) return;
    entry.marked = false;
    entry.row.marked--;
    for (let row = this.#rows[this.#firstMarked]; row?.marked === 0; row = this.#rows[++this.#firstMarked])
      this.#pushed = row.id;
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.settle();
    }, SETTLE_AFTER_MS);
    this.#timer.unref();
  }
}

function prepare(file: SqliteFile) {
  return {
    journal: file.prepare<{ id: number; pushed: number; entries: Uint8Array }>(
      "SELECT id, pushed, entries FROM journal WHERE id > 0 ORDER BY id",
    ),
    write: file.prepare<unknown, [number, Uint8Array]>("INSERT INTO journal (pushed, entries) VALUES (?, ?)"),
    forget: file.prepare<unknown, [number]>("DELETE FROM journal WHERE id <= ?"),
    lastId: file.prepare<{ id: number | null }, []>("SELECT max(last_id) AS id FROM slices"),
    insert: file.prepare<unknown, [number, number, number, number, string, number, Uint8Array]>(
      "INSERT INTO messages (id, conversation, seq, sender_id, message_id, at, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ),
    mark: file.prepare<unknown, [number, number]>("INSERT INTO marks (at, id) VALUES (?, ?)"),
    slice: file.prepare<unknown, [number, number, number]>(
      "INSERT INTO slices (last_id, first_id, oldest) VALUES (?, ?, ?)",
    ),
    settled: file.prepare<unknown, [number, number]>("UPDATE conversations SET settled = ? WHERE id = ?"),
  };
}

/** What a message has in common with its retries and with nothing else. */
export function retryKey(conversation: number, senderId: number, messageId: string): string {
  return `${conversation} ${senderId} ${messageId}`;
}
