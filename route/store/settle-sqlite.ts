/**
 * How the newest messages get to the tables where they stay. In a table with indexes each conversation that a batch
 * touches costs a page or two; so what came in many batches settles together, the messages of each conversation as runs.
 */
import { setImmediate } from "node:timers/promises";
import { CimError } from "../../proto/status.ts";
import type { Marks } from "./marks-sqlite.ts";
import type { Place } from "./places-sqlite.ts";
import type { Recent, RecentMessages } from "./recent-sqlite.ts";
import type { SettledRetries } from "./retries-sqlite.ts";
import type { RunWriter } from "./runs-sqlite.ts";
import type { SqliteFile } from "./sqlite-file.ts";

/** What is held before it is settled; and at the most, before appending waits for that. */
const SETTLE_MESSAGES = 16 * 1024;
const SETTLE_BYTES = 8 * 1024 * 1024;
const MOST = 4;
/** Without more to come, what is held settles after this. */
const SETTLE_AFTER_MS = 1000;
/** Messages settled before others have their turn. */
const SLICE = 1024;

interface Tables {
  runs: RunWriter;
  retries: SettledRetries;
  marks: Marks;
}

/** The first `count` recent messages of a conversation, on their way. */
interface Part {
  place: Place;
  count: number;
}

export class Settling {
  readonly #file: SqliteFile;
  readonly #recent: RecentMessages;
  readonly #tables: Tables;
  readonly #settled;
  #underWay: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(file: SqliteFile, recent: RecentMessages, tables: Tables) {
    this.#file = file;
    this.#recent = recent;
    this.#tables = tables;
    this.#settled = file.prepare<unknown, [number, number]>(
      "UPDATE conversations SET settled = ? WHERE id = ?",
    );
    if (recent.lastRow > 0) this.#soon();
  }

  /** Messages have come. */
  due(): void {
    if (this.#holds(1)) void this.settle();
    else if (this.#recent.count > 0) this.#soon();
  }

  /** Resolves when there is room for more. */
  async room(): Promise<void> {
    if (this.#holds(MOST)) await this.settle();
  }

  /** Moves everything that is recent by now. What cannot be moved, since the disk is full, stays. */
  settle(): Promise<void> {
    this.#underWay ??= this.#settle().finally(() => {
      this.#underWay = null;
      if (this.#recent.count > 0) this.#soon();
    });
    return this.#underWay;
  }

  /** The same, before anything else happens. */
  settleNow(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#recent.lastRow === 0) return;
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
    const through = this.#recent.lastRow;
    let slice: Part[] = [];
    let room = SLICE;
    for (const place of this.#recent.places()) {
      // After a yield fewer may be left than were: settleNow.
      for (let left = place.recent.length; left > 0; left = Math.min(left, place.recent.length)) {
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
    this.#recent.forget(through);
  }

  #move(slice: readonly Part[]): void {
    if (slice.length === 0) return;
    const { runs } = this.#tables;
    this.#file.writeNow(() => {
      runs.begin();
      for (const { place, count } of slice) {
        for (let i = 0; i < count; i++) this.#write(place.id, place.recent[i]!);
        this.#settled.run(place.settled + count, place.id);
      }
      runs.end();
    });
    for (const { place, count } of slice) this.#recent.settled(place, count);
  }

  #write(conversation: number, { seq, at, retry, row, from, end, marked }: Recent): void {
    const { runs, retries, marks } = this.#tables;
    runs.add(conversation, seq, at, row.bytes, from, end);
    retries.add(conversation, retry, seq);
    if (marked) marks.add(conversation, seq, at);
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.settle();
    }, SETTLE_AFTER_MS);
    this.#timer.unref();
  }

  /** Whether so many times what is held before it settles is here. */
  #holds(times: number): boolean {
    return this.#recent.count >= times * SETTLE_MESSAGES || this.#recent.bytes >= times * SETTLE_BYTES;
  }
}
