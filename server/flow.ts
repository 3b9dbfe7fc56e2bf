/**
 * What one connection was pushed and has not acknowledged yet, so that a reader who falls behind is not pushed more:
 * the kernel takes megabytes for a socket nobody reads, and only acknowledgements tell.
 *
 * Counting takes constant memory: one push is the mark; when it is acknowledged, so is all that was pushed before it,
 * since a connection is read in order, and the last push becomes the next mark. The acknowledgement may never come,
 * because the client had that message from a page already. So a mark that gets old is replaced by a newer push, and
 * once pushes are left out, a later word of the client counts instead: it reads, and what it lacks it asks for.
 */

import type { Cursor } from "../proto/ack.ts";

/** Pushed and not acknowledged bytes beyond which nothing more is pushed. */
export const MAX_UNACKNOWLEDGED_BYTES = 256 * 1024;

const MARK_LIFE_MS = 2 * 1000;
const PATIENCE_MS = 10 * 1000;
/** Conversations remembered by name as left out; beyond them it is "any". */
const MAX_NAMED = 16;

export class Flow {
  /** Since when the outbox was too full for a push and has not been empty; null when that is not so. */
  slowSince: number | null = null;
  #unacknowledged = 0;
  /** The mark's push, and when it became the mark; null while there is none. Not an object: each push makes one. */
  #markConversation = "";
  #markSeq = 0;
  #markedAt: number | null = null;
  /** Bytes pushed after the mark, and the last of these pushes: the next mark. */
  #sinceMark = 0;
  #lastConversation = "";
  #lastSeq = 0;
  /** What was not pushed; null while nothing was left out. */
  #leftOut: { since: number; conversations: Set<string> } | null = null;

  /** Whether a push may go out now. */
  get open(): boolean {
    return this.#leftOut === null && this.#unacknowledged < MAX_UNACKNOWLEDGED_BYTES;
  }

  /** Nothing is left to follow. */
  get settled(): boolean {
    return this.#leftOut === null && this.#unacknowledged === 0;
  }

  pushed(conversation: string, seq: number, bytes: number, now: number): void {
    this.#unacknowledged += bytes;
    this.#sinceMark += bytes;
    this.#lastConversation = conversation;
    this.#lastSeq = seq;
    if (this.#markedAt === null || now - this.#markedAt > MARK_LIFE_MS) this.#markLast(now);
  }

  /** A push was not made. `slow`: because the outbox was full. */
  leftOut(conversation: string, slow: boolean, now: number): void {
    this.#leftOut ??= { since: now, conversations: new Set() };
    if (this.#leftOut.conversations.size <= MAX_NAMED) this.#leftOut.conversations.add(conversation);
    if (slow) this.slowSince ??= now;
  }

  /** One word of the client; what it covers of different conversations stands in no particular order. */
  acknowledged(cursors: readonly Cursor[], now: number): void {
    if (this.#markedAt === null || !covers(cursors, this.#markConversation, this.#markSeq)) this.#alive(now);
    else if (covers(cursors, this.#lastConversation, this.#lastSeq)) this.#forget();
    else {
      this.#unacknowledged = this.#sinceMark;
      this.#markLast(now);
    }
  }

  /** The client pinged: it had nothing to say, acknowledgements included, for a heartbeat. */
  pinged(now: number): void {
    this.#alive(now);
  }

  /** Everything written has left for the socket. */
  emptied(): void {
    this.slowSince = null;
  }

  /**
   * The conversations to tell the client it lags in, none meaning any, if pushes were left out and can go on now;
   * else null. From here on they do.
   */
  resume(): string[] | null {
    if (this.#leftOut === null || this.slowSince !== null) return null;
    if (this.#unacknowledged > MAX_UNACKNOWLEDGED_BYTES / 2) return null;
    const { conversations } = this.#leftOut;
    this.#leftOut = null;
    return conversations.size > MAX_NAMED ? [] : [...conversations];
  }

  #alive(now: number): void {
    if (this.#leftOut === null || now - this.#leftOut.since < PATIENCE_MS) return;
    this.#forget();
  }

  /** Everything pushed counts as read. */
  #forget(): void {
    this.#unacknowledged = 0;
    this.#sinceMark = 0;
    this.#markedAt = null;
  }

  #markLast(now: number): void {
    this.#markConversation = this.#lastConversation;
    this.#markSeq = this.#lastSeq;
    this.#markedAt = now;
    this.#sinceMark = 0;
  }
}

function covers(cursors: readonly Cursor[], conversation: string, seq: number): boolean {
  for (const cursor of cursors) if (cursor.conversation === conversation && cursor.seq >= seq) return true;
  return false;
}
