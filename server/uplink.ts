/**
 * What connections say and ask, on its way to the route: one call at a time, the next gathers what arrives. A call
 * that fails is made again until it succeeds; senders are told after a while, everything else waits.
 */
import { backoffMs } from "../common/backoff.ts";
import type { Logger } from "../common/logger.ts";
import type { Sync } from "../proto/gen/cim_pb.ts";
import { decodeSend, encodeSent } from "../proto/send.ts";
import { CimError, STATUS, type StatusName } from "../proto/status.ts";
import { decodeResults, encodeCall, type Result, resultOf } from "../proto/uplink.ts";
import type { Session } from "./sessions.ts";
import { type Asked, type Asker, toItem, UplinkQueue, type Waiting } from "./uplink-queue.ts";

export interface UplinkOptions {
  /** Makes the call to the route. */
  post: (body: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;
  /** "ip:port:httpPort", as the server is announced. */
  server: string;
  bootId: string;
  log: Logger;
  /** Milliseconds on a clock that never goes back. */
  clock: () => number;
  /** Whether there is something to do that others wait for, while acknowledgements can wait. Default: never. */
  busy?: () => boolean;
  /** From 0 up to, but not including, 1. */
  random?: () => number;
  /** Sends that may wait in all, bytes; one more is answered 8000 at once. Default MAX_WAITING_BYTES. */
  maxWaitingBytes?: number;
}

/** A send that has no answer after this long is answered 8000: the sender may try again. */
export const SEND_PATIENCE_MS = 10 * 1000;
export const MAX_WAITING_BYTES = 16 * 1024 * 1024;
/**
 * How long acknowledgements are gathered. Nobody waits for them: what a crash takes is read once more, and left out by
 * the client, which had it.
 */
const GATHER_MS = 1000;
/** How much longer while the server is busy: what they cost it and the route, receivers of a broadcast would wait for. */
const HOLD_MS = 4 * 1000;
/** The pause before an item is tried again. */
const AGAIN_MS = 250;
/** As long as a call takes, those of the next wait: a crowd of logins must not hold up messages. */
const MAX_CALL_ITEMS = 256;
const MAX_CALL_BYTES = 512 * 1024;
const BACKOFF = { firstMs: 250, maxMs: 5 * 1000 };

export class Uplink {
  /** Calls made, and those of them that failed. */
  readonly calls = { made: 0, failed: 0 };
  readonly #options: UplinkOptions;
  readonly #queue = new UplinkQueue();
  /** The items of the call under way, or of the one to be made again. */
  #call: Waiting[] | null = null;
  #failures = 0;
  /** While calls fail: when the next is to be made. */
  #retryAt: number | null = null;
  #scheduled = false;
  #closed = false;
  #gatherUntil = 0;
  #againAt = 0;
  /** Called when nothing waits any more, once the end is near. */
  #closing: (() => void) | null = null;
  #trouble: string | null = null;

  constructor(options: UplinkOptions) {
    this.#options = options;
  }

  /** Why the route does not answer, in words; null when it does. */
  trouble(): string | null {
    return this.#trouble;
  }

  /** The session's connection is here; `asker` is told if it may not stay. */
  confirm(session: Session, asker: Asker): void {
    this.#queue.confirm(session, asker, this.#options.clock());
    this.#schedule();
  }

  release(session: Session): void {
    this.#queue.release(session, this.#options.clock());
    this.#schedule();
  }

  /** May this CIM v2 login have the claim of that user and name? */
  adopt(userId: number, userName: string, asker: Asker): void {
    const session = { userId, userName, sessionId: "", device: "" };
    this.#queue.adopt(session, asker, this.#options.clock());
    this.#schedule();
  }

  /** @param send an encoded cim.Send, passed on unread; kept */
  send(session: Session, send: Uint8Array, asker: Asker): void {
    const { maxWaitingBytes = MAX_WAITING_BYTES } = this.#options;
    if (this.#queue.bytes + send.length > maxWaitingBytes) {
      const text = `${this.#queue.bytes} bytes wait for the route, limit ${maxWaitingBytes}`;
      asker.answered("send", refusedSend(send, "FALLBACK", text));
      return;
    }
    this.#queue.send(session, send, asker, this.#options.clock());
    this.#schedule();
  }

  sync(session: Session, sync: Sync, asker: Asker): void {
    this.#queue.sync(session, sync, asker, this.#options.clock());
    this.#schedule();
  }

  /** @param urgent goes with the next call; others are gathered for up to `GATHER_MS` */
  ack(session: Session, conversation: string, seq: number, urgent = false): void {
    this.#queue.ack(session, conversation, seq, urgent);
    if (urgent) this.#schedule();
  }

  /** To be called several times in `GATHER_MS`: hands on what was gathered, tries again, and answers sends that waited too long. */
  tick(): void {
    const now = this.#options.clock();
    // Most servers have nothing to say most of the time, and what is seldom run is slow to run.
    if (this.#nothingToDo) {
      this.#gathered(now);
      return;
    }
    this.#answerOverdue(now - SEND_PATIENCE_MS);
    if (this.#retryAt === null || now >= this.#retryAt) this.#pump();
  }

  /** Hands over what waits and ends. What the route has not taken by then is dropped. */
  async close(withinMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, withinMs);
    this.#closing = resolve;
    this.tick();
    await promise;
    clearTimeout(timer);
    this.#closed = true;
  }

  // A microtask later, so that everything one event brings goes in one call.
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#retryAt === null) this.#pump();
    });
  }

  /** Makes the next call, or once more the one that failed, unless one is under way. */
  #pump(): void {
    if (this.#closed || (this.#call !== null && this.#retryAt === null)) return;
    this.#retryAt = null;
    if (this.#call === null) {
      const now = this.#options.clock();
      this.#gather(now);
      const items = this.#queue.take(MAX_CALL_ITEMS, MAX_CALL_BYTES, now);
      if (items.length > 0) this.#call = items;
      else if (this.#queue.idle) this.#closing?.();
    }
    if (this.#call !== null) void this.#make(this.#call);
  }

  #gather(now: number): void {
    if (this.#closing !== null || now >= this.#againAt) {
      this.#againAt = now + AGAIN_MS;
      this.#queue.again();
    }
    if (this.#closing !== null || this.#gathered(now)) this.#queue.flushAcks();
  }

  get #nothingToDo(): boolean {
    return this.#call === null && this.#retryAt === null && this.#closing === null && this.#queue.idle;
  }

  /** Whether acknowledgements were gathered for long enough, which begins anew then. */
  #gathered(now: number): boolean {
    if (now < this.#gatherUntil + (this.#options.busy?.() ? HOLD_MS : 0)) return false;
    this.#gatherUntil = now + GATHER_MS;
    return true;
  }

  async #make(items: Waiting[]): Promise<void> {
    this.calls.made++;
    try {
      const { server, bootId, post } = this.#options;
      const results = decodeResults(await post(encodeCall({ server, bootId, items: items.map(toItem) })));
      if (results.length !== items.length)
        throw new Error(`the route answered ${results.length} of ${items.length} items`);
      this.#succeeded();
      for (let i = 0; i < items.length; i++) this.#settle(items[i]!, results[i]!);
      this.#pump();
    } catch (error) {
      this.#failed(error);
    }
  }

  #succeeded(): void {
    if (this.#trouble !== null)
      this.#options.log.info({ failures: this.#failures }, "the route answers again");
    this.#trouble = null;
    this.#failures = 0;
    this.#call = null;
  }

  #failed(error: unknown): void {
    const { log, clock, random } = this.#options;
    if (this.#trouble === null)
      log.warn({ error: String(error) }, "the route does not take what clients say");
    this.#trouble = (error as Error).message;
    this.calls.failed++;
    this.#retryAt = clock() + backoffMs(this.#failures++, random?.(), BACKOFF);
  }

  #settle(item: Waiting, result: Result): void {
    const { body, asker } = item;
    const fine = result.code === STATUS.SUCCESS.code;
    if (body.case === "send") {
      if (!fine && result.sent.length === 0) result.sent = refusals(body.value, result.code, result.text);
    } else {
      const again = !fine && result.goodbye === "" && CimError.fromCode(result.code, result.text).retry;
      if (again) this.#queue.postpone(item);
      if (again || (body.case === "confirm" && fine)) return;
    }
    asker?.answered(body.case as Asked, result);
  }

  #answerOverdue(before: number): void {
    const overdue = this.#queue.takeOverdue(before);
    for (const item of this.#call ?? [])
      if (item.body.case === "send" && item.since < before) overdue.push(item);
    for (const item of overdue) {
      const text = `no answer from the route in ${SEND_PATIENCE_MS} ms`;
      item.asker?.answered("send", refusedSend(item.body.value as Uint8Array, "FALLBACK", text));
      item.asker = null;
    }
    // What is to be made again is made without them.
    if (this.#call === null || this.#retryAt === null) return;
    const left = this.#call.filter(({ body, asker }) => body.case !== "send" || asker !== null);
    this.#call = left.length > 0 ? left : null;
  }
}

function refusedSend(send: Uint8Array, status: StatusName, text: string): Result {
  const { code } = STATUS[status];
  return resultOf({ code, text, sent: refusals(send, code, text) });
}

/** A receipt for each message of the encoded Send that was refused; empty when it cannot be read. */
function refusals(send: Uint8Array, code: string, text: string): Uint8Array {
  try {
    return encodeSent(decodeSend(send).map(({ messageId }) => ({ messageId, code, text, seq: 0, at: 0 })));
  } catch {
    return new Uint8Array();
  }
}
