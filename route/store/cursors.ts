/** Something to read: the device has acknowledged up to `cursor`, the conversation goes up to `head`. */
export interface Unread {
  conversation: string;
  cursor: number;
  head: number;
}

/**
 * How far each device has acknowledged each conversation. `slot` is the session's: "" where an account has one
 * session, the device's name under `multi`. The slot "" also follows the furthest of the account's devices.
 */
export interface Cursors {
  /**
   * The device is here. A slot never seen before starts where the account's furthest device is; `all` starts at its
   * head unless the slot has a cursor there, which stays alive for another retention period.
   */
  join(userId: number, slot: string): Promise<void>;
  /** The device left on purpose: what is said to `all` from now on is not kept for it. */
  leave(userId: number, slot: string): Promise<void>;
  /**
   * Move cursors forward; one that would move back, or beyond the head, stays. A slot that is not joined to `all`
   * does not get a cursor there by a late acknowledgement.
   */
  ack(acks: readonly { userId: number; slot: string; conversation: string; seq: number }[]): Promise<void>;
  /** How far the slot has acknowledged `conversation`; 0 without a cursor. */
  cursor(userId: number, slot: string, conversation: string): Promise<number>;
  /** Conversations of the account with messages after the slot's cursor, by name, those after `from` ("": all), at most `limit`. */
  unread(userId: number, slot: string, from: string, limit: number): Promise<Unread[]>;
  /**
   * Forget cursors of `all` that were neither moved nor joined since `at` (ms since 1970) and whose slot has no
   * session, and cursors of other conversations that have nothing kept at or before them. A driver need not look at
   * an account that it looked at since `at`.
   */
  trim(at: number): Promise<void>;
}
