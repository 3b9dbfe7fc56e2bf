/**
 * Messages on their way to being accepted: in the order of `add`, one batch under way at a time, again after a lost
 * connection or a refusal that may pass, with the same messageIds. Knows no connection and no clock.
 */
import { CimError, type StatusName } from "../../proto/status.ts";
import type { Receipt } from "./types.ts";

export interface Outgoing {
  conversation: string;
  messageId: string;
  content: { case: "text"; value: string } | { case: "data"; value: Uint8Array };
  /** Encoded size, about. */
  bytes: number;
}

/** A server's word about one message: accepted as `seq`, or the refusal. */
export type Answer = Omit<Receipt, "conversation"> | { messageId: string; refusal: CimError };

export interface SendQueueOptions {
  timeoutMs: number;
  /** Milliseconds before try number `attempt`. */
  backoff: (attempt: number) => number;
  /** A message was accepted as `seq`, even if too late for whoever sent it. */
  accepted: (conversation: string, seq: number) => void;
}

/** What one Send frame holds at most: a longer queue would only make its answer later. */
const MAX_BATCH_MESSAGES = 64;
const MAX_BATCH_BYTES = 48 * 1024;
/** What may wait; beyond it `add` refuses. */
const MAX_WAITING_MESSAGES = 10_000;
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

interface Item {
  outgoing: Outgoing;
  deadline: number;
  resolve(receipt: Receipt): void;
  reject(error: CimError): void;
  sent: boolean;
  settled: boolean;
}

export class SendQueue {
  readonly #options: SendQueueOptions;
  #waiting: Item[] = [];
  #underWay: Item[] = [];
  #bytes = 0;
  #attempt = 0;
  #notBefore = 0;

  constructor(options: SendQueueOptions) {
    this.#options = options;
  }

  /** Messages without a receipt. */
  get pending(): number {
    return this.#waiting.length + this.#underWay.length;
  }

  /**
   * Resolves when the message is accepted. Rejects with what the server refused it for, when it had no receipt in
   * time, or at once when too many wait already.
   */
  add(outgoing: Outgoing, now: number): Promise<Receipt> {
    if (this.pending >= MAX_WAITING_MESSAGES || this.#bytes + outgoing.bytes > MAX_WAITING_BYTES) {
      const what = `${this.pending} messages (${this.#bytes} bytes) wait for their receipts`;
      const limit = `limit ${MAX_WAITING_MESSAGES} (${MAX_WAITING_BYTES} bytes)`;
      return Promise.reject(new CimError("RATE_LIMITED", `${what}, ${limit}`));
    }
    return new Promise((resolve, reject) => {
      const deadline = now + this.#options.timeoutMs;
      this.#waiting.push({ outgoing, deadline, resolve, reject, sent: false, settled: false });
      this.#bytes += outgoing.bytes;
    });
  }

  /** What to send now; null while a batch is under way, a wait is on, or nothing is there. */
  next(now: number): Outgoing[] | null {
    if (this.#underWay.length > 0 || this.#waiting.length === 0 || now < this.#notBefore) return null;
    let count = 0;
    let bytes = 0;
    while (count < this.#waiting.length && count < MAX_BATCH_MESSAGES) {
      bytes += this.#waiting[count]!.outgoing.bytes;
      if (count > 0 && bytes > MAX_BATCH_BYTES) break;
      count++;
    }
    this.#underWay = this.#waiting.splice(0, count);
    for (const item of this.#underWay) item.sent = true;
    return this.#underWay.map((item) => item.outgoing);
  }

  /** The answer to the batch under way. A message it leaves out, or refused for a reason that may pass, is tried again. */
  answered(answers: readonly Answer[], now: number): void {
    const again: Item[] = [];
    for (const [i, item] of this.#underWay.entries()) {
      const answer = answers[i];
      if (answer?.messageId !== item.outgoing.messageId) again.push(item);
      else if (!("refusal" in answer)) this.#accepted(item, answer);
      else if (mayPass(answer.refusal)) again.push(item);
      else this.#settle(item, () => item.reject(answer.refusal));
    }
    const progress = again.length < this.#underWay.length;
    this.#return(again);
    this.#attempt = progress ? 0 : this.#attempt;
    if (again.length > 0) this.#notBefore = now + this.#options.backoff(this.#attempt++);
  }

  /** There is a new connection: what was under way on the old one is sent again, at once. */
  connected(): void {
    this.#return(this.#underWay);
    this.#notBefore = 0;
  }

  /** Rejects what has waited too long. */
  expire(now: number): void {
    const oldest = this.#oldest;
    if (!oldest || oldest.deadline > now) return;
    for (const item of [...this.#underWay, ...this.#waiting]) {
      if (item.deadline > now) break;
      const doubt = item.sent ? "; it may have been accepted" : "";
      const text = `message ${item.outgoing.messageId}: no receipt in ${this.#options.timeoutMs} ms${doubt}`;
      this.#settle(item, () => item.reject(new CimError("FALLBACK", text)));
    }
    this.#waiting = this.#waiting.filter((item) => !item.settled);
  }

  /** When to look again (`next`, `expire`); null when nothing is pending. */
  wakeAt(now: number): number | null {
    const oldest = this.#oldest;
    if (!oldest) return null;
    const waits = this.#underWay.length === 0 && this.#notBefore > now;
    return waits ? Math.min(this.#notBefore, oldest.deadline) : oldest.deadline;
  }

  /** Nothing is sent any more. */
  fail(status: StatusName, text: string): void {
    for (const item of [...this.#underWay, ...this.#waiting]) {
      this.#settle(item, () => item.reject(new CimError(status, text)));
    }
    this.#underWay = [];
    this.#waiting = [];
  }

  /** All wait equally long, so it is the first to run out of time. */
  get #oldest(): Item | undefined {
    return this.#underWay.find((item) => !item.settled) ?? this.#waiting[0];
  }

  #return(items: Item[]): void {
    this.#underWay = [];
    this.#waiting = [...items.filter((item) => !item.settled), ...this.#waiting];
  }

  #accepted(item: Item, answer: Omit<Receipt, "conversation">): void {
    const { conversation } = item.outgoing;
    this.#options.accepted(conversation, answer.seq);
    this.#settle(item, () => item.resolve({ conversation, ...answer }));
  }

  #settle(item: Item, how: () => void): void {
    if (item.settled) return;
    item.settled = true;
    this.#bytes -= item.outgoing.bytes;
    how();
  }
}

/** A session that is over is resumed, or ends the client: until then nothing is lost. */
function mayPass(refusal: CimError): boolean {
  return refusal.retry || refusal.status === "UNAUTHORIZED";
}
