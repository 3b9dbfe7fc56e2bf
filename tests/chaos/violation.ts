/** What a judge says: what was counted, and what did not hold. */
export interface Violation {
  kind:
    | "lost" // answered with success, and a receiver does not have it
    | "hole" // not answered with success, but in the log: others have it, or what follows it
    | "twice"
    | "out of order"
    | "misplaced" // two messages with one seq, or one message with two
    | "reordered" // of two messages of one sender, the later one stands before the earlier
    | "wrong" // not what was sent, or to whom
    | "stuck" // without an outcome although nothing was broken any more
    | "gave up" // a client ended by itself
    | "presence"
    | "process"; // a process of ours did what it should not
  text: string;
  at: number;
  client?: string;
  conversation?: string;
  seq?: number;
  messageId?: string;
}

export interface Counts {
  sent: number;
  accepted: number;
  failed: number;
  /** Of those that failed, how many were received nevertheless. */
  failedButThere: number;
  received: number;
  reconnects: number;
}

/** When something was broken, from the first to the last moment. */
export interface Span {
  from: number;
  to: number;
}
