/** What is known of one conversation, in order, each message once, whichever way it came. Knows no client and no page. */
import type { Message, Receipt, User } from "../sdk/types.ts";

/** What became of a message of one's own. "sent": accepted, and no more is known, as of one read from the history. */
export type Mark = "queued" | "sent" | "stored" | "delivered" | "failed";

/** A message as it is shown. */
export interface Entry {
  /** Stays the same when the message gets its place. */
  key: string;
  /** Null until it is accepted. */
  seq: number | null;
  messageId: string;
  sender: User;
  at: Date;
  text?: string;
  data?: Uint8Array;
  own: boolean;
  mark: Mark;
  /** Why it failed. */
  error?: Error;
}

/** Beyond so many, those that are scrolled away are forgotten: the history has them. */
const MAX_KEPT = 2000;
const KEPT_AFTER = 500;

export class Thread {
  /** Accepted messages, by seq. */
  entries: Entry[] = [];
  /** Own messages without a place, in the order they were written. */
  waiting: Entry[] = [];
  /** Everything up to it was looked at; null as long as nothing new came. */
  read: number | null = null;
  /** Up to which nothing is missing between what is here. */
  #upToDateTo = 0;
  /** Whether `read` is what somebody looked at, and not only what was new at first. */
  #wasRead = false;
  /** The highest seq seen. */
  head = 0;
  /** Whether the newest page of the history was read. */
  loaded = false;
  /** Whether there is nothing older. */
  complete = false;
  loading = false;
  /** What is being written. */
  draft = "";
  /** What followed this was new when the conversation was opened; null for no line in between. */
  newAfter: number | null = null;

  /** @param peer the other account of a private conversation; null for everyone */
  constructor(
    readonly conversation: string,
    public peer: User | null,
  ) {}

  get unread(): number {
    const read = this.read ?? Number.POSITIVE_INFINITY;
    let count = 0;
    for (let i = this.entries.length - 1; i >= 0 && this.entries[i]!.seq! > read; i--) {
      if (!this.entries[i]!.own) count++;
    }
    return count;
  }

  /** How far it was read, as an earlier page remembers. */
  resume(read: number | null): void {
    this.#wasRead = read !== null;
    this.read = read;
    this.head = read ?? 0;
  }

  /** Everything there is was looked at; answers whether there was anything new. */
  seen(): boolean {
    const before = this.read;
    this.#wasRead = true;
    this.read = this.head;
    return before !== this.head;
  }

  /** The newest, accepted or not. */
  get last(): Entry | undefined {
    return this.waiting.at(-1) ?? this.entries.at(-1);
  }

  /** Where the history goes on backwards. */
  get oldest(): number | undefined {
    return this.entries[0]?.seq ?? undefined;
  }

  /**
   * Puts a message in its place; one that is there already changes nothing.
   * @param isNew it is of those that this device was not handed before
   */
  add(message: Message, isNew: boolean): void {
    const { seq, messageId, own } = message;
    this.head = Math.max(this.head, seq);
    if (own) this.waiting = this.waiting.filter((entry) => entry.messageId !== messageId);
    this.#place({ ...message, key: keyOf(message), mark: "sent" });
    if (own) return;
    if (isNew && !this.#wasRead) this.read = Math.min(this.read ?? seq - 1, seq - 1);
    if (this.peer) this.peer = message.sender;
    // Who answers has been there: a client reads what was kept for it before anything else.
    for (const entry of this.entries) {
      if (entry.mark === "stored" && entry.seq! < seq) entry.mark = "delivered";
    }
  }

  /** A message on its way. */
  queue(message: Pick<Entry, "messageId" | "sender" | "at" | "text">): Entry {
    const entry: Entry = { ...message, key: keyOf(message), seq: null, own: true, mark: "queued" };
    this.waiting.push(entry);
    return entry;
  }

  accepted({ messageId, sender, text, key }: Entry, { seq, at, receiverOnline }: Receipt): void {
    this.waiting = this.waiting.filter((entry) => entry.key !== key);
    this.head = Math.max(this.head, seq);
    // Between one's own words and the one before there is nothing that was not seen.
    if (this.read === seq - 1) this.read = seq;
    const known = this.peer ? (receiverOnline ? "delivered" : "stored") : "sent";
    this.#place({ key, seq, messageId, sender, at, text, own: true, mark: known });
  }

  failed({ key }: Entry, error: Error): void {
    const entry = this.waiting.find((one) => one.key === key);
    if (entry) Object.assign(entry, { mark: "failed", error });
  }

  drop({ key }: Entry): void {
    this.waiting = this.waiting.filter((entry) => entry.key !== key);
  }

  /** Forgets the far past. */
  trim(): void {
    if (this.entries.length <= MAX_KEPT) return;
    this.entries = this.entries.slice(-KEPT_AFTER);
    this.complete = false;
  }

  /** The newest are to be read anew: another tab or device may have had what came meanwhile. */
  outdate(): void {
    this.#upToDateTo = this.head;
    this.loaded = this.loading = false;
  }

  /** Puts the newest page of the history in its place; what it does not reach back to is forgotten. */
  addNewest(page: readonly Message[]): void {
    const reachesBack = page.length === 0 || page[0]!.seq <= this.#upToDateTo + 1;
    if (!reachesBack) this.entries = this.entries.filter(({ seq }) => seq! > this.#upToDateTo);
    if (!reachesBack) this.complete = false;
    for (const message of page) this.add(message, false);
    this.loaded = true;
  }

  #place(entry: Entry): void {
    let at = this.entries.length;
    while (at > 0 && this.entries[at - 1]!.seq! > entry.seq!) at--;
    const there = this.entries[at - 1];
    if (there?.seq !== entry.seq) this.entries.splice(at, 0, entry);
    else if (there?.mark === "sent") there.mark = entry.mark;
  }
}

function keyOf({ sender, messageId }: Pick<Entry, "sender" | "messageId">): string {
  return `${sender.userId} ${messageId}`;
}
