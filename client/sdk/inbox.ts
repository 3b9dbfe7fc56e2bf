/**
 * Puts what arrives of each conversation in order and leaves out what was handed out before. Pushes, pages and
 * receipts may come in any interleaving, with duplicates and holes. Knows no connection and no clock.
 */
import { ALL } from "../../proto/conversation.ts";
import type { Message } from "./types.ts";

export interface InboxOptions {
  /** See ConnectOptions. */
  maxUnread: number;
  /** Whether this client itself sent the message: it is not handed out. */
  isSent(message: Message): boolean;
}

export interface Page {
  conversation: string;
  after: number;
  through: number;
  head: number;
  messages: Message[];
}

/** What to ask the server for: everything unread in conversations after `from`, or what follows certain places. */
export type Ask = { from: string } | { after: { conversation: string; seq: number | null }[] };

export interface Cursor {
  conversation: string;
  seq: number;
}

/** A message on its way to the application. */
export interface Entry {
  message: Message;
  /** What may be acknowledged when the application is done with it: its seq, and what followed that is not for handing out. */
  ackTo: number;
}

/** Content kept for an application that does not read, beside the limit on messages. */
const MAX_UNREAD_CHARACTERS = 16 * 1024 * 1024;
const MAX_ASKED = 32;

interface Thread {
  conversation: string;
  /** Everything up to it was handed on; null until it is known where the device stands. */
  cursor: number | null;
  /** Nothing up to it is ever handed out: the program had it in an earlier run. */
  floor: number;
  /** The highest seq known to exist. */
  head: number;
  acked: number;
  /** What arrived beyond a hole; null for what this client sent itself. */
  aside: Map<number, Message | null>;
  /** The newest entry the application is not done with. */
  last: Entry | null;
}

export class Inbox {
  readonly #options: InboxOptions;
  readonly #threads = new Map<string, Thread>();
  /** With a hole that pushes still under way may close. */
  readonly #fresh = new Set<Thread>();
  /** To be asked for: only a page takes a thread from here. */
  readonly #missing = new Set<Thread>();
  readonly #queue: Entry[] = [];
  readonly #acks = new Map<string, number>();
  /** In the queue and aside. */
  readonly #held = { messages: 0, characters: 0 };
  /** Where "everything" goes on; null when all of it was asked for. */
  #from: string | null = null;
  #asking: Ask | null = null;
  /** What the server said of left out pushes since then: the answer under way may be older. */
  #lagging: (readonly string[])[] = [];

  constructor(options: InboxOptions) {
    this.#options = options;
    this.#missing.add(this.#thread(ALL));
  }

  /** How far the program got in an earlier run; to be told before anything else. */
  resume(conversation: string, seq: number): void {
    const thread = this.#thread(conversation);
    thread.floor = seq;
    // Where a device stands in `all` is the server's to say: what was said while it was logged out is not for it.
    if (conversation !== ALL) Object.assign(thread, { cursor: seq, head: seq, acked: seq });
    this.#missing.add(thread);
  }

  /** A new connection: what was asked on the old one is not answered any more, and anything may have been missed. */
  connected(): void {
    this.#asking = null;
    this.#lagging = [];
    this.#from = "";
  }

  push(message: Message): void {
    const room = this.#hasRoom();
    this.#arrived(message.conversation, message.seq, this.#options.isSent(message) ? null : message, room);
  }

  /** A message this client sent was accepted as `seq`. */
  accepted(conversation: string, seq: number): void {
    const next = (this.#threads.get(conversation)?.cursor ?? 0) + 1;
    this.#arrived(conversation, seq, null, seq === next || this.#hasRoom());
  }

  /** The answer to what `nextAsk` asked for. */
  pages(pages: readonly Page[], more: boolean): void {
    const asked = this.#asking;
    this.#asking = null;
    for (const page of pages) this.#page(page, asked !== null && "after" in asked);
    if (asked === null) return;
    if ("from" in asked) this.#from = more ? (pages.at(-1)?.conversation ?? null) : null;
    // An answer with nothing in it: not to be asked for again at once.
    else if (pages.length === 0) for (const { conversation } of asked.after) this.#later(conversation);
    for (const conversations of this.#lagging.splice(0)) this.lagging(conversations);
  }

  /** The server left pushes out, in these conversations or (none named) in any. */
  lagging(conversations: readonly string[]): void {
    if (this.#asking !== null) this.#lagging.push(conversations);
    if (conversations.length === 0) this.#from = "";
    for (const conversation of conversations) this.#missing.add(this.#thread(conversation));
  }

  /** Whether there are holes that pushes still under way may close. */
  get hasFreshHoles(): boolean {
    return this.#fresh.size > 0;
  }

  /** The holes there are had time enough to close by themselves. */
  settle(): void {
    for (const thread of this.#fresh) this.#missing.add(thread);
    this.#fresh.clear();
  }

  /** What to ask for now; null while an answer is under way, nothing is missing, or the application reads too slowly. */
  nextAsk(): Ask | null {
    if (this.#asking !== null || this.#queue.length > this.#options.maxUnread / 2) return null;
    if (this.#from !== null) this.#asking = { from: this.#from };
    else if (this.#missing.size > 0) {
      const threads = Array.from(this.#missing).slice(0, MAX_ASKED);
      this.#asking = { after: threads.map(({ conversation, cursor }) => ({ conversation, seq: cursor })) };
    }
    return this.#asking;
  }

  /** What was asked will not be answered. */
  unanswered(): void {
    this.#asking = null;
  }

  /** The next message for the application; `done` is to be called when it is done with it. */
  take(): Entry | null {
    const entry = this.#queue.shift() ?? null;
    if (entry) this.#count(entry.message, -1);
    return entry;
  }

  done(entry: Entry): Cursor {
    const thread = this.#thread(entry.message.conversation);
    if (thread.last === entry) thread.last = null;
    this.#acknowledge(thread, entry.ackTo);
    return { conversation: thread.conversation, seq: entry.ackTo };
  }

  get unread(): number {
    return this.#queue.length;
  }

  get ackCount(): number {
    return this.#acks.size;
  }

  /** Acknowledgements that the server has not been told yet, at most `limit`; they count as told from here on. */
  takeAcks(limit: number): Cursor[] {
    const cursors: Cursor[] = [];
    for (const [conversation, seq] of this.#acks) {
      if (cursors.length === limit) break;
      cursors.push({ conversation, seq });
      this.#acks.delete(conversation);
    }
    return cursors;
  }

  #thread(conversation: string): Thread {
    let thread = this.#threads.get(conversation);
    if (!thread) {
      thread = { conversation, cursor: null, floor: 0, head: 0, acked: 0, aside: new Map(), last: null };
      this.#threads.set(conversation, thread);
    }
    return thread;
  }

  /** `message` (null: one of our own) is what stands at `seq`. Without room only that it exists is remembered. */
  #arrived(conversation: string, seq: number, message: Message | null, room: boolean): void {
    const thread = this.#thread(conversation);
    if (seq <= (thread.cursor ?? thread.floor)) return;
    if (seq === 1) thread.cursor ??= 0;
    thread.head = Math.max(thread.head, seq);
    if (!room) {
      this.#missing.add(thread);
    } else if (!thread.aside.has(seq)) {
      thread.aside.set(seq, message);
      this.#count(message, 1);
    }
    this.#advance(thread);
  }

  #page(page: Page, byName: boolean): void {
    const thread = this.#thread(page.conversation);
    thread.head = Math.max(thread.head, page.head);
    // An older place than ours: our acknowledgement was lost on the way.
    if (page.after < thread.acked) this.#acks.set(page.conversation, thread.acked);
    thread.cursor ??= Math.max(thread.floor, page.after);
    if (page.after > thread.cursor) {
      // It begins beyond our place, which leaves a hole, unless that is what there still is of what we asked for.
      if (!byName) return void this.#missing.add(thread);
      thread.cursor = page.after;
    }
    this.#missing.delete(thread);
    const before = thread.cursor;
    for (const message of page.messages) {
      if (message.seq <= thread.cursor) continue;
      this.#moveTo(thread, message.seq, this.#options.isSent(message) ? null : message);
    }
    if (page.through > thread.cursor) this.#moveTo(thread, page.through, null);
    this.#advance(thread);
    if (this.#fresh.has(thread) && thread.cursor > before) {
      this.#fresh.delete(thread);
      this.#missing.add(thread);
    }
  }

  /** Hands on what is contiguous, and notes whether there is a hole after it. */
  #advance(thread: Thread): void {
    while (thread.cursor !== null && thread.aside.has(thread.cursor + 1)) {
      this.#moveTo(thread, thread.cursor + 1, thread.aside.get(thread.cursor + 1)!);
    }
    if (thread.cursor === null) this.#missing.add(thread);
    else if (thread.cursor >= thread.head) this.#fresh.delete(thread);
    else if (!this.#missing.has(thread)) this.#fresh.add(thread);
  }

  /** Everything up to `seq` is there; `message` (null: nothing to hand out) is what stands at it. */
  #moveTo(thread: Thread, seq: number, message: Message | null): void {
    thread.cursor = seq;
    for (const [at, held] of thread.aside) {
      if (at > seq) continue;
      thread.aside.delete(at);
      this.#count(held, -1);
    }
    if (message) {
      thread.last = { message, ackTo: seq };
      this.#queue.push(thread.last);
      this.#count(message, 1);
    } else if (thread.last) thread.last.ackTo = seq;
    else this.#acknowledge(thread, seq);
  }

  #acknowledge(thread: Thread, seq: number): void {
    if (seq <= thread.acked) return;
    thread.acked = seq;
    this.#acks.set(thread.conversation, seq);
  }

  #later(conversation: string): void {
    const thread = this.#thread(conversation);
    this.#missing.delete(thread);
    this.#fresh.add(thread);
  }

  #hasRoom(): boolean {
    const { messages, characters } = this.#held;
    return messages < this.#options.maxUnread && characters < MAX_UNREAD_CHARACTERS;
  }

  #count(message: Message | null, sign: 1 | -1): void {
    this.#held.messages += sign;
    this.#held.characters += sign * (message ? charactersOf(message) : 0);
  }
}

/** What a message's content counts for: characters of a text, bytes of data. */
export function charactersOf({ text, data }: Message): number {
  return text?.length ?? data?.length ?? 0;
}
