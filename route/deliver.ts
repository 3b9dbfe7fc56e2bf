/**
 * Out to the servers: one call per server and batch, whoever it is for. A message's mark comes off when every
 * server that has receivers took it or is gone; what stays marked is taken up again by the sweep of any route.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { Batcher } from "../common/batch.ts";
import type { Config } from "../common/config.ts";
import type { Logger } from "../common/logger.ts";
import { addressOf, isV2, type ServerInstance } from "../common/registry/registry.ts";
import { parseConversation, peerOf } from "../proto/conversation.ts";
import { encodeDelivery } from "../proto/downlink.ts";
import { type DownlinkItem, DownlinkItemSchema, DownlinkSchema } from "../proto/gen/link_pb.ts";
import { decodeMessage } from "../proto/message.ts";
import type { GoodbyeReason } from "../proto/status.ts";
import { Sight } from "./sight.ts";
import type { Log, Stored } from "./store/log.ts";
import type { Session } from "./store/sessions.ts";
import type { V2Servers } from "./v2-servers.ts";

/** A message marked longer than this is taken up by whoever sees it: the route that accepted it may be dead. */
export const TAKE_OVER_MS = 2 * 1000;
const SWEEP_EVERY_MS = 1000;
const SWEEP_LIMIT = 1000;
const INSIST_MS = 1000;

/** What may wait for one server; beyond it messages stay marked, and the sweep comes back to them. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const MAX_CALL_BYTES = 1024 * 1024;

/** A stored message on its way: whom it is for (null: everyone), and the session it came from ("": none). */
export interface Outbound extends Stored {
  senderId: number;
  receiverId: number | null;
  sessionId: string;
  /** It stood in the log before: it was pushed, or is marked, since then. Its bytes are not those in the log. */
  retry: boolean;
}

/** The servers as delivering needs them. */
export interface Downlinks {
  alive(): readonly ServerInstance[];
  find(address: string, bootId: string): ServerInstance | null;
  state(address: string, bootId: string): "alive" | "gone" | "unknown";
  /** Called after each change of who is alive, before anything else sees it; answers how to stop that. */
  watch(changed: () => void): () => void;
  /** @throws CimError when the server does not answer */
  post(server: ServerInstance, body: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
}

export interface DeliverParts {
  log: Log;
  servers: Downlinks;
  /** Servers of CIM v2, which take no downlinks. */
  v2Servers: Pick<V2Servers, "take">;
  /** The sessions of each of these users that a connection followed, whether their servers are alive or not. */
  connected: (userIds: readonly number[]) => Promise<Map<number, Session[]>>;
  policy: Config["loginPolicy"];
  logger: Logger;
  now?: () => number;
}

/** What became of an item: the server took it; the server is gone; or neither, and it is to be tried again later. */
export type Fate = "taken" | "gone" | "left";

export interface Target {
  address: string;
  bootId: string;
}

/** What goes to one server together. */
interface Parcel {
  target: Target;
  messages: Outbound[];
  /** The encoded items. */
  items: Uint8Array[];
}

export class Deliver {
  readonly #parts: DeliverParts;
  readonly #queues = new Map<string, Batcher<readonly Uint8Array[], Fate>>();
  // Messages this route is delivering, so that its own sweep leaves them alone.
  readonly #underWay = new Set<readonly Outbound[]>();
  readonly #unmark: Batcher<readonly Outbound[], undefined>;
  readonly #sweeper: ReturnType<typeof setInterval>;
  readonly #retries = new Set<ReturnType<typeof setTimeout>>();
  readonly #sight = new Sight();
  readonly #unwatch: () => void;
  #sweeping = false;

  constructor(parts: DeliverParts) {
    this.#parts = parts;
    this.#unmark = new Batcher(async (messages) => {
      await parts.log.pushed(messages.flat());
      return messages.map(() => undefined);
    });
    this.#sweeper = setInterval(() => void this.sweep(), SWEEP_EVERY_MS);
    this.#unwatch = parts.servers.watch(() => this.#look());
    this.#look();
  }

  /**
   * Sends messages on their way, in the order given, and answers for each whether a receiver is online; it does not
   * wait for the servers.
   */
  async push(messages: readonly Outbound[]): Promise<boolean[]> {
    this.#underWay.add(messages);
    try {
      const connected = await this.#parts.connected([...this.#partiesOf(messages)]);
      const parcels = new Map<string, Parcel>();
      const targets = new Map<Outbound, number>();
      const online = messages.map((message) =>
        message.receiverId === null
          ? this.#toEveryone(message, parcels, targets)
          : this.#toParties(message, message.receiverId, connected, parcels, targets),
      );
      this.#dispatch(messages, parcels, targets);
      return online;
    } catch (error) {
      this.#underWay.delete(messages);
      throw error;
    }
  }

  /** Makes the server of a CIM v2 receiver write what was kept for it. */
  async catchUp(userId: number): Promise<void> {
    const sessions = (await this.#parts.connected([userId])).get(userId) ?? [];
    const item = downlink({ case: "catchUp", value: { userId: BigInt(userId) } });
    await Promise.all(targetsOf(this.#inSight(sessions)).map((target) => this.#send(target, item)));
  }

  /** Ends a session's connection, as soon as its server can be reached. */
  close(session: Session, reason: GoodbyeReason): void {
    const item = downlink({
      case: "close",
      value: { userId: BigInt(session.userId), sessionId: session.sessionId, goodbye: reason },
    });
    this.#insist({ address: session.server, bootId: session.bootId }, item);
  }

  /** Has a session's server confirm it anew, if its connection is still there, as soon as the server can be reached. */
  doubt(session: Session): void {
    const item = downlink({ case: "lookAgain", value: { everything: true, sessionId: session.sessionId } });
    this.#insist({ address: session.server, bootId: session.bootId }, item);
  }

  /** Takes up what is marked and nobody seems to be delivering. */
  async sweep(): Promise<void> {
    if (this.#sweeping) return;
    this.#sweeping = true;
    this.#forgetGone();
    try {
      const before = (this.#parts.now ?? Date.now)() - TAKE_OVER_MS;
      const marked = await this.#parts.log.unpushed(before, SWEEP_LIMIT);
      if (marked.length === 0) return;
      const underWay = new Set([...this.#underWay].flatMap((messages) => messages.map(keyOf)));
      const left = marked.filter((message) => !underWay.has(keyOf(message)));
      if (left.length === 0) return;
      this.#parts.logger.info({ messages: left.length }, "taking up messages that were not pushed");
      await this.push(left.map(toOutbound));
    } catch (error) {
      this.#parts.logger.warn({ error: String(error) }, "cannot look for messages that were not pushed");
    } finally {
      this.#sweeping = false;
    }
  }

  stop(): void {
    clearInterval(this.#sweeper);
    this.#unwatch();
    for (const retry of this.#retries) clearTimeout(retry);
  }

  #partiesOf(messages: readonly Outbound[]): Set<number> {
    const userIds = new Set<number>();
    for (const message of messages) for (const userId of this.#receivers(message)) userIds.add(userId);
    return userIds;
  }

  /** None for a message to everyone. Under `multi` the sender's other devices get it too; else there are none. */
  #receivers({ receiverId, senderId }: Outbound): number[] {
    if (receiverId === null) return [];
    return this.#isMulti ? [receiverId, senderId] : [receiverId];
  }

  get #isMulti(): boolean {
    return this.#parts.policy === "multi";
  }

  /** Answers true: someone may be online. */
  #toEveryone(message: Outbound, parcels: Map<string, Parcel>, targets: Map<Outbound, number>): boolean {
    if (message.retry) return true;
    const alive = this.#parts.servers.alive();
    const item = this.#encode(message, []);
    for (const server of alive) addTo(parcels, addressOf(server), server.bootId, message, item);
    targets.set(message, alive.length);
    // Only now: whoever is not among these lacks it.
    this.#sight.saidToEveryone();
    return true;
  }

  /** Answers whether the receiver is online. */
  #toParties(
    message: Outbound,
    receiverId: number,
    connected: Map<number, Session[]>,
    parcels: Map<string, Parcel>,
    targets: Map<Outbound, number>,
  ): boolean {
    const userIds = this.#receivers(message);
    let receiverOnline = false;
    let item: Uint8Array | null = null;
    let count = 0;
    for (const userId of userIds) {
      for (const session of this.#inSight(connected.get(userId) ?? [])) {
        if (session.sessionId === message.sessionId) continue;
        receiverOnline ||= userId === receiverId;
        if (message.retry) continue;
        item ??= this.#encode(message, userIds);
        if (addTo(parcels, session.server, session.bootId, message, item)) count++;
      }
    }
    if (!message.retry) targets.set(message, count);
    return receiverOnline;
  }

  #encode({ bytes, conversation, seq, senderId, sessionId }: Outbound, userIds: number[]): Uint8Array {
    return encodeDelivery({
      message: bytes,
      conversation,
      seq,
      everyone: userIds.length === 0,
      userIds,
      exceptUserId: this.#isMulti ? 0 : senderId,
      exceptSessionId: this.#isMulti ? sessionId : "",
    });
  }

  /**
   * Sends the parcels and takes the marks off: of each message when the last of its servers took it or is gone. Nobody
   * waits for this: a mark that cannot be taken off now comes back with the sweep.
   * @param targets for each message that is not a retry, how many servers it goes to
   */
  #dispatch(
    messages: readonly Outbound[],
    parcels: Map<string, Parcel>,
    targets: Map<Outbound, number>,
  ): void {
    const settled = (some: readonly Outbound[], fate: Fate) => {
      if (fate === "left") return;
      const done = some.filter((message) => {
        const left = targets.get(message)! - 1;
        targets.set(message, left);
        return left <= 0;
      });
      if (done.length > 0) this.#unmarked(done);
    };
    settled(
      messages.filter((message) => targets.get(message) === 0),
      "gone",
    );
    const all = Array.from(parcels.values(), (parcel) => this.#deliver(parcel, settled));
    void Promise.all(all)
      .catch((error) => this.#parts.logger.warn({ error: String(error) }, "delivered messages stay marked"))
      .finally(() => this.#underWay.delete(messages));
  }

  async #deliver(
    parcel: Parcel,
    settled: (messages: readonly Outbound[], fate: Fate) => void,
  ): Promise<void> {
    const { target, messages, items } = parcel;
    if (!isV2(target.bootId)) return settled(messages, await this.#post(target, items));
    await Promise.all(
      messages.map(async (message) =>
        settled(
          [message],
          await this.#parts.v2Servers.take(target, toItem(message, this.#receivers(message))),
        ),
      ),
    );
  }

  #unmarked(messages: readonly Outbound[]): void {
    this.#unmark
      .add(messages)
      .catch((error) => this.#parts.logger.warn({ error: String(error) }, "delivered messages stay marked"));
  }

  #send(target: Target, item: DownlinkItem): Promise<Fate> {
    if (isV2(target.bootId)) return this.#parts.v2Servers.take(target, item);
    return this.#post(target, [toBinary(DownlinkSchema, create(DownlinkSchema, { items: [item] }))]);
  }

  #post(target: Target, items: readonly Uint8Array[]): Promise<Fate> {
    const queue = this.#queue(target);
    if (queue.waiting.bytes > MAX_WAITING_BYTES) return Promise.resolve("left");
    return queue.add(items);
  }

  /** Sends again and again, until the server took it or is gone. */
  #insist(target: Target, item: DownlinkItem): void {
    void this.#send(target, item).then((fate) => {
      if (fate !== "left") return;
      const retry = setTimeout(() => {
        this.#retries.delete(retry);
        this.#insist(target, item);
      }, INSIST_MS);
      this.#retries.add(retry);
    });
  }

  /** Those whose server is not gone. One that is gone may come back with its clients, and then lacks what was for them. */
  #inSight(sessions: readonly Session[]): Session[] {
    return sessions.filter(({ server, bootId }) => {
      if (this.#parts.servers.state(server, bootId) !== "gone") return true;
      this.#sight.passedBy(keyOfTarget(server, bootId));
      return false;
    });
  }

  /** Has the clients of servers that came into sight ask for what they lack. */
  #look(): void {
    const targets = new Map(
      this.#parts.servers
        .alive()
        // A CIM v2 server has no clients that could ask.
        .filter((server) => !isV2(server.bootId))
        .map((server) => ({ address: addressOf(server), bootId: server.bootId }))
        .map((target) => [keyOfTarget(target.address, target.bootId), target]),
    );
    for (const { key, everything } of this.#sight.look(targets.keys())) {
      this.#parts.logger.info(
        { server: key, everything },
        "a server may lack messages: its clients look again",
      );
      this.#insist(targets.get(key)!, downlink({ case: "lookAgain", value: { everything } }));
    }
  }

  #queue(target: Target): Batcher<readonly Uint8Array[], Fate> {
    const key = keyOfTarget(target.address, target.bootId);
    const known = this.#queues.get(key);
    if (known) return known;
    const queue = new Batcher((parcels: (readonly Uint8Array[])[]) => this.#call(target, parcels), sizeOf, {
      maxBytes: MAX_CALL_BYTES,
    });
    this.#queues.set(key, queue);
    return queue;
  }

  #forgetGone(): void {
    for (const key of this.#queues.keys()) {
      const [address, bootId] = key.split(" ") as [string, string];
      if (this.#parts.servers.state(address, bootId) === "gone") this.#queues.delete(key);
    }
  }

  async #call(target: Target, parcels: (readonly Uint8Array[])[]): Promise<Fate[]> {
    const fate = await this.#handOver(target, parcels.flat());
    if (fate === "gone") this.#sight.passedBy(keyOfTarget(target.address, target.bootId));
    return parcels.map(() => fate);
  }

  async #handOver(target: Target, items: readonly Uint8Array[]): Promise<Fate> {
    const { servers, logger } = this.#parts;
    const server = servers.find(target.address, target.bootId);
    if (!server) return servers.state(target.address, target.bootId) === "gone" ? "gone" : "left";
    try {
      // A Downlink is its items one after another.
      await servers.post(server, concat(items));
      return "taken";
    } catch (error) {
      logger.warn(
        { server: target.address, items: items.length, error: String(error) },
        "a server did not take a push",
      );
      return servers.state(target.address, target.bootId) === "gone" ? "gone" : "left";
    }
  }
}

function keyOfTarget(address: string, bootId: string): string {
  return `${address} ${bootId}`;
}

/** Answers false when the message goes there already. */
function addTo(
  parcels: Map<string, Parcel>,
  address: string,
  bootId: string,
  message: Outbound,
  item: Uint8Array,
): boolean {
  const key = keyOfTarget(address, bootId);
  let parcel = parcels.get(key);
  if (!parcel) {
    parcel = { target: { address, bootId }, messages: [], items: [] };
    parcels.set(key, parcel);
  }
  if (parcel.messages.at(-1) === message) return false;
  parcel.messages.push(message);
  parcel.items.push(item);
  return true;
}

function keyOf(message: { conversation: string; seq: number }): string {
  return `${message.conversation} ${message.seq}`;
}

function toOutbound(message: Stored): Outbound {
  const senderId = Number(decodeMessage(message.bytes).senderId);
  const conversation = parseConversation(message.conversation);
  const receiverId = conversation.kind === "all" ? null : peerOf(conversation, senderId);
  return { ...message, senderId, receiverId, sessionId: "", retry: false };
}

/** As a CIM v2 server is handed it: only whom it is for (none: everyone) and where it stands count. */
function toItem({ conversation, seq }: Outbound, userIds: readonly number[]): DownlinkItem {
  const to = userIds.length === 0 ? { everyone: true } : { userIds: userIds.map(BigInt) };
  return downlink({ case: "delivery", value: { conversation, seq: BigInt(seq), ...to } });
}

function targetsOf(sessions: readonly Session[]): Target[] {
  const targets = new Map(
    sessions
      .map(({ server, bootId }) => ({ address: server, bootId }))
      .map((target) => [keyOfTarget(target.address, target.bootId), target]),
  );
  return [...targets.values()];
}

function downlink(
  body: NonNullable<Parameters<typeof create<typeof DownlinkItemSchema>>[1]>["body"],
): DownlinkItem {
  return create(DownlinkItemSchema, { body } as Parameters<typeof create<typeof DownlinkItemSchema>>[1]);
}

function sizeOf(items: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const item of items) bytes += item.length;
  return bytes;
}

function concat(items: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(sizeOf(items));
  let at = 0;
  for (const item of items) {
    out.set(item, at);
    at += item.length;
  }
  return out;
}
