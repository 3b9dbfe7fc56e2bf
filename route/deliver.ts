/**
 * Out to the servers: one call per server and batch, whoever it is for. A message's mark comes off when every
 * server that has receivers took it or is gone; what stays marked is taken up again by the sweep of any route.
 */
import { Batcher } from "../common/batch.ts";
import type { Config } from "../common/config.ts";
import type { Logger } from "../common/logger.ts";
import { addressOf, isV2, type ServerInstance } from "../common/registry/registry.ts";
import { parseConversation, peerOf } from "../proto/conversation.ts";
import { DeliveryWriter } from "../proto/downlink.ts";
import type { DownlinkItem } from "../proto/gen/link_pb.ts";
import { decodeMessage, withoutSeq } from "../proto/message.ts";
import type { GoodbyeReason } from "../proto/status.ts";
import { Downlinks, downlink, type Fate, keyOf, type Reached, type Target } from "./downlinks.ts";
import { type Parcel, Parcels, piecesOf } from "./parcels.ts";
import { Sight } from "./sight.ts";
import type { Log, Stored } from "./store/log.ts";
import type { Session } from "./store/sessions.ts";
import type { V2Servers } from "./v2-servers.ts";

/**
 * A message marked longer than this is taken up by whoever sees it: the route that accepted it may be dead. With the time
 * between two looks it is what a route's death delays a message at most: two seconds.
 */
export const TAKE_OVER_MS = 1000;
const SWEEP_EVERY_MS = 1000;
const SWEEP_LIMIT = 1000;

/** A stored message on its way: whom it is for (null: everyone), and the session it came from ("": none). */
export interface Outbound {
  conversation: string;
  seq: number;
  /** An encoded cim.Message without its seq. */
  bytes: Uint8Array;
  senderId: number;
  receiverId: number | null;
  sessionId: string;
  /** It stood in the log before: it was pushed, or is marked, since then. Its bytes are not those in the log. */
  retry: boolean;
}

/** The servers as delivering needs them. */
export interface Destinations extends Reached {
  alive(): readonly ServerInstance[];
  /** Called after each change of who is alive, before anything else sees it; answers how to stop that. */
  watch(changed: () => void): () => void;
}

export interface DeliverParts {
  log: Log;
  servers: Destinations;
  /** Servers of CIM v2, which take no downlinks. */
  v2Servers: Pick<V2Servers, "take">;
  /** The sessions of each of these users that a connection followed, whether their servers are alive or not. */
  connected: (userIds: readonly number[]) => Promise<Map<number, Session[]>>;
  policy: Config["loginPolicy"];
  logger: Logger;
  now?: () => number;
}

/** A session that can be reached, and the parcel to its server. */
interface Way {
  sessionId: string;
  parcel: Parcel;
}

/** What one push writes; nothing else happens while it does. */
const items = new DeliveryWriter();

export class Deliver {
  readonly #parts: DeliverParts;
  readonly #downlinks: Downlinks;
  // Messages this route is delivering, so that its own sweep leaves them alone.
  readonly #underWay = new Set<readonly Outbound[]>();
  readonly #unmark: Batcher<readonly Outbound[], undefined>;
  readonly #sweeper: ReturnType<typeof setInterval>;
  readonly #sight = new Sight();
  readonly #unwatch: () => void;
  #sweeping = false;
  /** Resolves when what was pushed last is on its way. */
  #pushed: Promise<unknown> = Promise.resolve();

  constructor(parts: DeliverParts) {
    this.#parts = parts;
    const passedBy = (target: Target) => this.#sight.passedBy(keyOf(target));
    this.#downlinks = new Downlinks({ ...parts, passedBy });
    this.#unmark = new Batcher(async (messages) => {
      await parts.log.pushed(messages.flat());
      return messages.map(() => undefined);
    });
    this.#sweeper = setInterval(() => void this.sweep(), SWEEP_EVERY_MS);
    this.#unwatch = parts.servers.watch(() => this.#look());
    this.#look();
  }

  /**
   * Sends messages on their way, in the order given and after those of earlier calls, and answers for each whether a
   * receiver is online; it does not wait for the servers.
   */
  async push(messages: readonly Outbound[]): Promise<boolean[]> {
    this.#underWay.add(messages);
    const found = Promise.all([this.#parts.connected([...this.#partiesOf(messages)]), this.#pushed]);
    this.#pushed = found.catch(() => undefined);
    try {
      const [connected] = await found;
      const parcels = new Parcels(messages.length);
      const ways = this.#waysTo(connected, parcels);
      items.clear();
      const online = messages.map((message, i) => {
        if (message.receiverId === null) return this.#toEveryone(message, i, parcels);
        return this.#toParties(message, i, message.receiverId, ways, parcels);
      });
      const written = items.take();
      // Nobody waits for this: a mark that cannot be taken off now comes back with the sweep.
      void this.#dispatch(messages, parcels, written)
        .catch((error) => this.#parts.logger.warn({ error: String(error) }, "delivered messages stay marked"))
        .finally(() => this.#underWay.delete(messages));
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
    await Promise.all(targetsOf(this.#inSight(sessions)).map((target) => this.#downlinks.send(target, item)));
  }

  /** Ends a session's connection, as soon as its server can be reached. */
  close(session: Session, reason: GoodbyeReason): void {
    const item = downlink({
      case: "close",
      value: { userId: BigInt(session.userId), sessionId: session.sessionId, goodbye: reason },
    });
    this.#downlinks.insist({ address: session.server, bootId: session.bootId }, item);
  }

  /** Has a session's server confirm it anew, if its connection is still there, as soon as the server can be reached. */
  doubt(session: Session): void {
    const item = downlink({ case: "lookAgain", value: { everything: true, sessionId: session.sessionId } });
    this.#downlinks.insist({ address: session.server, bootId: session.bootId }, item);
  }

  /** Takes up what is marked and nobody seems to be delivering. */
  async sweep(): Promise<void> {
    if (this.#sweeping) return;
    this.#sweeping = true;
    this.#downlinks.forgetGone();
    try {
      const before = (this.#parts.now ?? Date.now)() - TAKE_OVER_MS;
      const marked = await this.#parts.log.unpushed(before, SWEEP_LIMIT);
      if (marked.length === 0) return;
      const underWay = new Set([...this.#underWay].flatMap((messages) => messages.map(nameOf)));
      const left = marked.filter((message) => !underWay.has(nameOf(message)));
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
    this.#downlinks.stop();
  }

  #partiesOf(messages: readonly Outbound[]): Set<number> {
    const userIds = new Set<number>();
    for (const { receiverId, senderId } of messages) {
      if (receiverId === null) continue;
      userIds.add(receiverId);
      if (this.#isMulti) userIds.add(senderId);
    }
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

  /** The sessions of each user that can be reached, and the parcels to their servers. */
  #waysTo(connected: ReadonlyMap<number, readonly Session[]>, parcels: Parcels): Map<number, Way[]> {
    const ways = new Map<number, Way[]>();
    for (const [userId, sessions] of connected) {
      const its = this.#inSight(sessions).map(({ sessionId, server, bootId }) => ({
        sessionId,
        parcel: parcels.to({ address: server, bootId }),
      }));
      if (its.length > 0) ways.set(userId, its);
    }
    return ways;
  }

  /** Answers true: someone may be online. */
  #toEveryone(message: Outbound, i: number, parcels: Parcels): boolean {
    if (message.retry) return true;
    const start = items.length;
    this.#write(message, []);
    for (const server of this.#parts.servers.alive())
      parcels.put(parcels.to({ address: addressOf(server), bootId: server.bootId }), i, start, items.length);
    // Only now: whoever is not among these lacks it.
    this.#sight.saidToEveryone();
    return true;
  }

  /** Answers whether the receiver is online. */
  #toParties(
    message: Outbound,
    i: number,
    receiverId: number,
    ways: ReadonlyMap<number, readonly Way[]>,
    parcels: Parcels,
  ): boolean {
    const elsewhere = ({ sessionId }: Way) => sessionId !== message.sessionId;
    const toReceiver = ways.get(receiverId) ?? [];
    const toSender = (this.#isMulti && ways.get(message.senderId)?.filter(elsewhere)) || [];
    if (!message.retry && toReceiver.length + toSender.length > 0) {
      const start = items.length;
      this.#write(message, this.#receivers(message));
      for (const { parcel } of toReceiver) parcels.put(parcel, i, start, items.length);
      for (const { parcel } of toSender) parcels.put(parcel, i, start, items.length);
    }
    return toReceiver.length > 0;
  }

  #write({ bytes, conversation, seq, senderId, sessionId }: Outbound, userIds: number[]): void {
    items.add({
      message: bytes,
      conversation,
      seq,
      everyone: userIds.length === 0,
      userIds,
      exceptUserId: this.#isMulti ? 0 : senderId,
      exceptSessionId: this.#isMulti ? sessionId : "",
    });
  }

  /** Sends the parcels and takes the marks off: of each message when the last of its servers took it or is gone. */
  async #dispatch(messages: readonly Outbound[], parcels: Parcels, written: Uint8Array): Promise<void> {
    const unmark = (done: readonly Outbound[]) => (done.length > 0 ? this.#unmark.add(done) : undefined);
    const settle = (its: readonly number[], fate: Fate) =>
      unmark(parcels.settled(its, fate).map((i) => messages[i]!));
    await Promise.all([
      unmark(messages.filter(({ retry }, i) => !retry && parcels.isDone(i))),
      ...parcels.all().map(async (parcel) => {
        if (!isV2(parcel.target.bootId))
          return settle(
            parcel.messages,
            await this.#downlinks.post(parcel.target, piecesOf(parcel, written)),
          );
        await Promise.all(
          parcel.messages.map(async (i) =>
            settle([i], await this.#downlinks.send(parcel.target, this.#toItem(messages[i]!))),
          ),
        );
      }),
    ]);
  }

  /** As a CIM v2 server is handed it: only whom it is for and where it stands count. */
  #toItem(message: Outbound): DownlinkItem {
    const { conversation, seq, receiverId } = message;
    const to = receiverId === null ? { everyone: true } : { userIds: this.#receivers(message).map(BigInt) };
    return downlink({ case: "delivery", value: { conversation, seq: BigInt(seq), ...to } });
  }

  /** Those whose server is not gone. One that is gone may come back with its clients, and then lacks what was for them. */
  #inSight(sessions: readonly Session[]): Session[] {
    return sessions.filter(({ server, bootId }) => {
      if (this.#parts.servers.state(server, bootId) !== "gone") return true;
      this.#sight.passedBy(keyOf({ address: server, bootId }));
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
        .map((target) => [keyOf(target), target]),
    );
    for (const { key, everything } of this.#sight.look(targets.keys())) {
      this.#parts.logger.info(
        { server: key, everything },
        "a server may lack messages: its clients look again",
      );
      this.#downlinks.insist(targets.get(key)!, downlink({ case: "lookAgain", value: { everything } }));
    }
  }
}

function nameOf(message: { conversation: string; seq: number }): string {
  return `${message.conversation} ${message.seq}`;
}

function toOutbound({ conversation, seq, bytes }: Stored): Outbound {
  const senderId = Number(decodeMessage(bytes).senderId);
  const parsed = parseConversation(conversation);
  const receiverId = parsed.kind === "all" ? null : peerOf(parsed, senderId);
  return {
    conversation,
    seq,
    bytes: withoutSeq(bytes, seq),
    senderId,
    receiverId,
    sessionId: "",
    retry: false,
  };
}

function targetsOf(sessions: readonly Session[]): Target[] {
  const targets = new Map(
    sessions
      .map(({ server, bootId }) => ({ address: server, bootId }))
      .map((target) => [keyOf(target), target]),
  );
  return [...targets.values()];
}
