/** A message on its way into the log, encoded but for its seq. */
export interface Draft {
  conversation: string;
  senderId: number;
  messageId: string;
  /** Milliseconds since 1970. */
  at: number;
  /** An encoded cim.Message without seq. */
  bytes: Uint8Array;
}

/** Where a draft stands. `retry`: it stood there already, and `at` is when it was first accepted. */
export interface Appended {
  seq: number;
  at: number;
  retry: boolean;
}

/** A message that is in the log. */
export interface Stored {
  conversation: string;
  seq: number;
  /** An encoded cim.Message, seq included. */
  bytes: Uint8Array;
}

/** Consecutive messages: all there are after `after` up to `through`, but for what retention removed. */
export interface LogPage {
  after: number;
  through: number;
  head: number;
  messages: Stored[];
}

export interface PageLimit {
  messages: number;
  /** Content of a page, at least one message whatever its size. */
  bytes: number;
}

/** A message's place as one text. */
export function nameOf({ conversation, seq }: Pick<Stored, "conversation" | "seq">): string {
  return `${conversation} ${seq}`;
}

/** The messages of each conversation in order, seq = 1, 2, 3 … without holes, and which of them are still to be pushed. */
export interface Log {
  /**
   * Append in the order given, each in one atomic step: a sender's messageId that stands in the conversation
   * already keeps its place, any other gets the next seq and is marked as to be pushed. Resolves when all of it is
   * durable. Throws when that cannot be promised: part of it may stand then, is marked, and is found by a retry.
   */
  append(drafts: readonly Draft[]): Promise<Appended[]>;
  /** What follows `after`, oldest first. */
  read(conversation: string, after: number, limit: PageLimit): Promise<LogPage>;
  /** What precedes `before` (Infinity: from the newest on), oldest first. */
  history(conversation: string, before: number, limit: PageLimit): Promise<Stored[]>;
  /** The highest seq; 0 for a conversation without messages. */
  head(conversation: string): Promise<number>;
  /**
   * Marked messages accepted before `at` (ms since 1970), in seq order within each conversation, at most `limit`.
   * @param except by `nameOf`: these are left out, and count for nothing
   */
  unpushed(at: number, limit: number, except?: ReadonlySet<string>): Promise<Stored[]>;
  /** Take the marks off. */
  pushed(messages: readonly { conversation: string; seq: number }[]): Promise<void>;
  /**
   * Forget messages accepted before `at` (ms since 1970), at most `limit`; their seqs are not given again.
   * Answers how many: fewer than `limit` when there are no more.
   */
  trim(at: number, limit: number): Promise<number>;
}
