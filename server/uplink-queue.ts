/** What waits for the route, in the order in which it happened, with what makes each other needless left out. */
import { create } from "@bufbuild/protobuf";
import type { Sync } from "../proto/gen/cim_pb.ts";
import { AdoptSchema, ConfirmSchema, ReleaseSchema } from "../proto/gen/link_pb.ts";
import type { Body, Item, Result } from "../proto/uplink.ts";
import { Acks } from "./acks.ts";
import type { Session } from "./sessions.ts";

export interface Waiting {
  readonly session: Session;
  readonly body: Body;
  /** Null: nobody is told what became of it. */
  asker: Asker | null;
  /** On the queue's clock. */
  readonly since: number;
}

export type Asked = "confirm" | "adopt" | "send" | "sync";

/** Who is told the answer. */
export interface Asker {
  /** It needs no answer any more. */
  readonly gone: boolean;
  /** Not called for a confirm that was accepted. `sent` is filled in for each send that can be read, accepted or not. */
  answered(asked: Asked, result: Result): void;
}

/** The part of a call that is kept for acknowledgements, so that what clients ask for does not hold them up for ever. */
const ACKS_PART = 1 / 4;
/** Of UTF-8 for each unit of a text, and what stands around a cursor's. */
const MAX_BYTES_A_UNIT = 3;
const AROUND_CURSOR_BYTES = 16;

export class UplinkQueue {
  /** Bytes of sends that wait. */
  bytes = 0;
  #items = new Set<Waiting>();
  /** Failed once, and to be tried again after a pause. */
  #later = new Set<Waiting>();
  // By session: what of it still waits here.
  readonly #confirms = new Map<string, Waiting>();
  readonly #releases = new Map<string, Waiting>();
  /** Those of a session that said something which is to be made after them. */
  readonly #ackItems = new Map<string, Waiting>();
  /** Gathered until `flushAcks`, and those that go with the next calls. */
  #acks = new Acks();
  #dueAcks = new Acks();
  readonly #urgent = new Set<Session>();

  /** What may go with the next calls. */
  get size(): number {
    return this.#items.size + this.#dueAcks.size;
  }

  /** Nothing waits in any form. */
  get idle(): boolean {
    return this.size === 0 && this.#later.size === 0 && this.#acks.size === 0;
  }

  /** The session's connection is here. A release of it that was not made yet is not to be made any more. */
  confirm(session: Session, asker: Asker, since: number): void {
    this.#drop(this.#releases, session.sessionId);
    this.#drop(this.#confirms, session.sessionId);
    this.#takeOutOfLine(session);
    const body = { case: "confirm" as const, value: create(ConfirmSchema) };
    this.#confirms.set(session.sessionId, this.#add({ session, body, asker, since }));
  }

  release(session: Session, since: number): void {
    this.#lineUpAcks(session, since);
    this.#drop(this.#confirms, session.sessionId);
    this.#drop(this.#releases, session.sessionId);
    const body = { case: "release" as const, value: create(ReleaseSchema) };
    this.#releases.set(session.sessionId, this.#add({ session, body, asker: null, since }));
  }

  adopt(session: Session, asker: Asker, since: number): void {
    this.#add({ session, body: { case: "adopt", value: create(AdoptSchema) }, asker, since });
  }

  sync(session: Session, sync: Sync, asker: Asker, since: number): void {
    this.#add({ session, body: { case: "sync", value: sync }, asker, since });
  }

  send(session: Session, send: Uint8Array, asker: Asker, since: number): void {
    this.bytes += send.length;
    this.#add({ session, body: { case: "send", value: send }, asker, since });
  }

  /** Gathered by session and conversation until `flushAcks`; what is `urgent`, until the next call. */
  ack(session: Session, conversation: string, seq: number, urgent: boolean): void {
    if (urgent) this.#urgent.add(session);
    this.#acks.add(session, conversation, seq);
  }

  /** The acknowledgements gathered go with the next calls. */
  flushAcks(): void {
    this.#dueAcks.takeOver(this.#acks);
  }

  /** Sends that have waited since before `before`; they wait no more. */
  takeOverdue(before: number): Waiting[] {
    const overdue: Waiting[] = [];
    for (const item of this.#items) {
      if (item.body.case !== "send") continue;
      if (item.since >= before) break;
      overdue.push(item);
      this.#items.delete(item);
      this.#forget(item);
    }
    return overdue;
  }

  /** The next items for a call. What only somebody who is gone would hear is left out. */
  take(maxItems: number, maxBytes: number, now: number): Waiting[] {
    for (const session of this.#urgent) this.#lineUpAcks(session, now);
    this.#urgent.clear();
    const forAcks = Math.min(this.#dueAcks.size, Math.ceil(maxItems * ACKS_PART));
    const taken: Waiting[] = [];
    let bytes = 0;
    for (const item of this.#items) {
      const size = sizeOf(item);
      if (taken.length >= maxItems - forAcks || (taken.length > 0 && bytes + size > maxBytes)) break;
      this.#items.delete(item);
      this.#forget(item);
      const { case: kind } = item.body;
      if (item.asker?.gone && (kind === "sync" || kind === "adopt")) continue;
      bytes += size;
      taken.push(item);
    }
    // Counted apart: what clients say takes nothing of their part.
    bytes = 0;
    for (
      let session = this.#dueAcks.first();
      session && taken.length < maxItems && bytes < maxBytes;
      session = this.#dueAcks.first()
    ) {
      const body = { case: "ack" as const, value: this.#dueAcks.take(session) };
      const item = { session, body, asker: null, since: now };
      bytes += sizeOf(item);
      taken.push(item);
    }
    return taken;
  }

  /** Keeps an item the route could not deal with for another try, after `again`; unless it is needless by now. */
  postpone(item: Waiting): void {
    const { sessionId } = item.session;
    const { case: kind, value } = item.body;
    if (kind === "ack") {
      for (const { conversation, seq } of value) this.ack(item.session, conversation, seq, false);
      return;
    }
    if (kind === "confirm" || kind === "release") {
      if (this.#confirms.has(sessionId) || this.#releases.has(sessionId)) return;
      (kind === "confirm" ? this.#confirms : this.#releases).set(sessionId, item);
    }
    this.#later.add(item);
  }

  /** Puts what was postponed back in line, in front. */
  again(): void {
    if (this.#later.size === 0) return;
    this.#items = new Set([...this.#later, ...this.#items]);
    this.#later = new Set();
  }

  #add(item: Waiting): Waiting {
    this.#items.add(item);
    return item;
  }

  /** Makes an item of what a session has acknowledged, one with that which is in line already. */
  #lineUpAcks(session: Session, since: number): void {
    const { case: kind, value } = this.#ackItems.get(session.sessionId)?.body ?? { case: undefined };
    this.#dueAcks.takeOver(this.#acks, session);
    if (kind === "ack")
      for (const { conversation, seq } of value) this.#dueAcks.add(session, conversation, seq);
    const cursors = this.#dueAcks.take(session);
    if (cursors.length === 0) return;
    this.#drop(this.#ackItems, session.sessionId);
    const body = { case: "ack" as const, value: cursors };
    this.#ackItems.set(session.sessionId, this.#add({ session, body, asker: null, since }));
  }

  /** What its acknowledgements were to come before is not to be made any more. */
  #takeOutOfLine({ sessionId }: Session): void {
    const item = this.#ackItems.get(sessionId);
    if (item?.body.case !== "ack") return;
    this.#drop(this.#ackItems, sessionId);
    for (const { conversation, seq } of item.body.value) this.#dueAcks.add(item.session, conversation, seq);
  }

  #drop(from: Map<string, Waiting>, sessionId: string): void {
    const item = from.get(sessionId);
    if (!item) return;
    from.delete(sessionId);
    this.#items.delete(item);
    this.#later.delete(item);
  }

  /** It waits no more: what follows in its session does not concern it. */
  #forget(item: Waiting): void {
    const { case: kind } = item.body;
    if (kind === "send") this.bytes -= sizeOf(item);
    else if (kind === "ack") forget(this.#ackItems, item);
    else if (kind === "confirm") forget(this.#confirms, item);
    else if (kind === "release") forget(this.#releases, item);
  }
}

function forget(from: Map<string, Waiting>, item: Waiting): void {
  if (from.get(item.session.sessionId) === item) from.delete(item.session.sessionId);
}

/** The item as the route gets it. An acknowledgement is the device's, whichever its session. */
export function toItem({ session, body }: Waiting): Item {
  const { userId, userName, sessionId, device } = session;
  if (body.case === "ack") return { userId, userName: "", sessionId: "", device, body };
  return { userId, userName, sessionId, device, body };
}

/** The most bytes it may take, where that is up to clients. */
function sizeOf({ body }: Waiting): number {
  if (body.case === "send") return body.value.length;
  let bytes = 0;
  if (body.case === "ack")
    for (const { conversation } of body.value)
      bytes += conversation.length * MAX_BYTES_A_UNIT + AROUND_CURSOR_BYTES;
  return bytes;
}
