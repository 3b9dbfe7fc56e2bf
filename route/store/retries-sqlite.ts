/**
 * Which message a retry is one of. It is looked for by a hash: a row of three integers is small, and to hash costs no
 * more than to put a key together of strings. Whether it is the same message, that says itself.
 */
import type { EntryReader } from "./entry-sqlite.ts";
import type { Recent } from "./recent-sqlite.ts";
import { prefixOf, RetryHash } from "./retry-hash-sqlite.ts";
import type { Runs } from "./runs-sqlite.ts";
import type { SqliteFile } from "./sqlite-file.ts";

/** Of messages in memory. */
export class RecentRetries {
  /** Those of one hash are chained by `other`. */
  readonly #byHash = new Map<number, Recent>();

  find(hash: number, conversation: number, senderId: number, messageId: string): Recent | undefined {
    let found = this.#byHash.get(hash);
    while (found !== undefined && !isThat(found, conversation, senderId, messageId)) found = found.other;
    return found;
  }

  add(message: Recent): void {
    message.other = this.#byHash.get(message.retry);
    this.#byHash.set(message.retry, message);
  }

  remove(message: Recent): void {
    let one = this.#byHash.get(message.retry);
    if (one !== message) {
      while (one !== undefined && one.other !== message) one = one.other;
      if (one !== undefined) one.other = message.other;
    } else if (message.other === undefined) this.#byHash.delete(message.retry);
    else this.#byHash.set(message.retry, message.other);
  }
}

/** Of messages that have settled. */
export class SettledRetries {
  readonly hash: RetryHash;
  readonly #runs: Runs;
  readonly #look;
  readonly #between;
  readonly #insert;
  readonly #forget;

  constructor(file: Pick<SqliteFile, "prepare">, runs: Runs) {
    this.#runs = runs;
    const { key } = file.prepare<{ key: Uint8Array }, []>("SELECT key FROM retry_key WHERE id = 1").get()!;
    this.hash = new RetryHash(key);
    this.#look = file.prepare<{ seq: number }, [number, number]>(
      "SELECT seq FROM retries WHERE conversation = ? AND hash = ?",
    );
    this.#between = file.prepare<unknown, [number, number, number]>(
      "SELECT 1 FROM retries WHERE conversation = ? AND hash BETWEEN ? AND ? LIMIT 1",
    );
    this.#insert = file.prepare<unknown, [number, number, number]>(
      "INSERT INTO retries (conversation, hash, seq) VALUES (?, ?, ?)",
    );
    this.#forget = file.prepare<unknown, [number, number, number]>(
      "DELETE FROM retries WHERE conversation = ? AND hash = ? AND seq = ?",
    );
  }

  /** Whether there is one at all. */
  between(conversation: number, low: number, high: number): boolean {
    return this.#between.get(conversation, low, high) !== null;
  }

  /** Where the message stands, and when it was accepted. */
  find(
    hash: number,
    conversation: number,
    senderId: number,
    messageId: string,
  ): { seq: number; at: number } | null {
    for (const { seq } of this.#look.all(conversation, hash)) {
      const entry = this.#runs.find(conversation, seq);
      if (entry && entry.senderId === senderId && entry.messageId === messageId) return { seq, at: entry.at };
    }
    return null;
  }

  add(conversation: number, hash: number, seq: number): void {
    this.#insert.run(conversation, hash, seq);
  }

  remove(conversation: number, { seq, senderId, messageId }: EntryReader): void {
    this.#forget.run(conversation, this.hash.of(conversation, senderId, messageId), seq);
  }
}

/** Looks for the messages of a batch: of those whose ids were counted, one look mostly says that all are new. */
export class SettledLook {
  readonly #settled: SettledRetries;
  readonly #ranges = new Map<
    number,
    { conversation: number; low: number; high: number; some: boolean | null }
  >();

  constructor(settled: SettledRetries) {
    this.#settled = settled;
  }

  /** This one will be looked for. */
  add(hash: number, conversation: number): void {
    const range = this.#ranges.get(prefixOf(hash));
    if (range === undefined)
      this.#ranges.set(prefixOf(hash), { conversation, low: hash, high: hash, some: null });
    else if (range.conversation === conversation) {
      range.low = Math.min(range.low, hash);
      range.high = Math.max(range.high, hash);
    } else range.some = true;
  }

  /** As SettledRetries, for one that was added. */
  find(hash: number, conversation: number, senderId: number, messageId: string) {
    const range = this.#ranges.get(prefixOf(hash))!;
    range.some ??= this.#settled.between(conversation, range.low, range.high);
    return range.some ? this.#settled.find(hash, conversation, senderId, messageId) : null;
  }
}

function isThat(message: Recent, conversation: number, senderId: number, messageId: string): boolean {
  return (
    message.messageId === messageId && message.senderId === senderId && message.place.id === conversation
  );
}
