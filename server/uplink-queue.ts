/** What waits for the route, in the order in which it happened, with what makes each other needless left out. */
import { create } from "@bufbuild/protobuf";
import type { Sync } from "../proto/gen/cim_pb.ts";
import { AdoptSchema, ConfirmSchema, ReleaseSchema } from "../proto/gen/link_pb.ts";
import type { Body, Item, Result } from "../proto/uplink.ts";
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

/** Cursors gathered for one session; what goes beyond is not acknowledged, and so comes again. */
const MAX_GATHERED_CURSORS = 1000;

export class UplinkQueue {
  /** Bytes of sends that wait. */
  bytes = 0;
  #items = new Set<Waiting>();
  /** Failed once, and to be tried again after a pause. */
  #later = new Set<Waiting>();
  // By session: what of it still waits here. Acknowledgements are gathered first, and then an item.
  readonly #confirms = new Map<string, Waiting>();
  readonly #releases = new Map<string, Waiting>();
  readonly #acks = new Map<string, { session: Session; cursors: Map<string, number> }>();
  readonly #urgent = new Set<string>();
  readonly #ackItems = new Map<string, Waiting>();

  get size(): number {
    return this.#items.size;
  }

  /** Nothing waits in any form. */
  get idle(): boolean {
    return this.#items.size === 0 && this.#later.size === 0 && this.#acks.size === 0;
  }

  /** The session's connection is here. A release of it that was not made yet is not to be made any more. */
  confirm(session: Session, asker: Asker, since: number): void {
    this.#drop(this.#releases, session.sessionId);
    this.#drop(this.#confirms, session.sessionId);
    const body = { case: "confirm" as const, value: create(ConfirmSchema) };
    this.#confirms.set(session.sessionId, this.#add({ session, body, asker, since }));
  }

  release(session: Session, since: number): void {
    this.#flushAcks(session.sessionId, since);
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
    if (urgent) this.#urgent.add(session.sessionId);
    const gathered = this.#acks.get(session.sessionId) ?? { session, cursors: new Map<string, number>() };
    this.#acks.set(session.sessionId, gathered);
    gather(gathered.cursors, conversation, seq);
  }

  /** Makes items of the acknowledgements gathered. */
  flushAcks(since: number): void {
    for (const sessionId of this.#acks.keys()) this.#flushAcks(sessionId, since);
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
    for (const sessionId of this.#urgent) this.#flushAcks(sessionId, now);
    const taken: Waiting[] = [];
    let bytes = 0;
    for (const item of this.#items) {
      const size = sizeOf(item);
      if (taken.length === maxItems || (taken.length > 0 && bytes + size > maxBytes)) break;
      this.#items.delete(item);
      this.#forget(item);
      const { case: kind } = item.body;
      if (item.asker?.gone && (kind === "sync" || kind === "adopt")) continue;
      bytes += size;
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

  #flushAcks(sessionId: string, since: number): void {
    const gathered = this.#acks.get(sessionId);
    if (!gathered) return;
    this.#acks.delete(sessionId);
    this.#urgent.delete(sessionId);
    // What it has in line already is made one with it.
    const { case: kind, value } = this.#ackItems.get(sessionId)?.body ?? { case: undefined };
    if (kind === "ack")
      for (const { conversation, seq } of value) gather(gathered.cursors, conversation, seq);
    this.#drop(this.#ackItems, sessionId);
    const cursors = Array.from(gathered.cursors, ([conversation, seq]) => ({ conversation, seq }));
    const body = { case: "ack" as const, value: cursors };
    this.#ackItems.set(sessionId, this.#add({ session: gathered.session, body, asker: null, since }));
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

function gather(cursors: Map<string, number>, conversation: string, seq: number): void {
  const known = cursors.get(conversation);
  if (known === undefined && cursors.size >= MAX_GATHERED_CURSORS) return;
  cursors.set(conversation, Math.max(known ?? 0, seq));
}

/** The item as the route gets it. An acknowledgement is the device's, whichever its session. */
export function toItem({ session, body }: Waiting): Item {
  const { userId, userName, sessionId, device } = session;
  if (body.case === "ack") return { userId, userName: "", sessionId: "", device, body };
  return { userId, userName, sessionId, device, body };
}

function sizeOf({ body }: Waiting): number {
  return body.case === "send" ? body.value.length : 0;
}
