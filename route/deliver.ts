/**
 * Out to the servers: one call per server and batch, whoever it is for. A message's mark comes off when every
 * server that has receivers took it or is gone; what stays marked is taken up again by the sweep of any route.
 */
import { Batcher } from "../common/batch.ts";
import type { Config } from "../common/config.ts";
import type { Logger } from "../common/logger.ts";
import { addressOf, isV2, type ServerInstance } from "../common/registry/registry.ts";
import { parseConversation, peerOf } from "../proto/conversation.ts";
import type { DownlinkItem } from "../proto/gen/link_pb.ts";
import { decodeMessage, withoutSeq } from "../proto/message.ts";
import type { GoodbyeReason } from "../proto/status.ts";
import { Addressing, type Outbound } from "./addressing.ts";
import { Downlinks, downlink, type Fate, keyOf, type Reached, type Target } from "./downlinks.ts";
import { type Parcels, piecesOf } from "./parcels.ts";
import { Sight } from "./sight.ts";
import { type Log, nameOf, type Stored } from "./store/log.ts";
import type { Session } from "./store/sessions.ts";
import type { V2Servers } from "./v2-servers.ts";

/**
 * A message marked longer than this is taken up by whoever sees it: the route that accepted it may be dead. With the time
 * between two looks it is what a route's death delays a message at most: two seconds.
 */
export const TAKE_OVER_MS = 1000;
const SWEEP_EVERY_MS = 1000;
const SWEEP_LIMIT = 1000;

/** Sessions that a connection followed, by their users. */
export type Connected = ReadonlyMap<number, readonly Session[]>;

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
  connected: (userIds: readonly number[]) => Promise<Connected>;
  policy: Config["loginPolicy"];
  logger: Logger;
  now?: () => number;
}

export class Deliver {
  readonly #parts: DeliverParts;
  readonly #downlinks: Downlinks;
  // Messages this route is delivering, so that its own sweep leaves them alone.
  readonly #underWay = new Map<readonly Outbound[], Promise<unknown>>();
  readonly #unmark: Batcher<readonly Outbound[], undefined>;
  readonly #sweeper: ReturnType<typeof setInterval>;
  readonly #sight = new Sight();
  readonly #addressing: Addressing;
  readonly #unwatch: () => void;
  #sweeping = false;
  /** Resolves when what was pushed last is on its way. */
  #pushed: Promise<unknown> = Promise.resolve();

  constructor(parts: DeliverParts) {
    this.#parts = parts;
    this.#addressing = new Addressing(parts.servers, this.#sight, parts.policy);
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

  /** Whose sessions have to be known to push these. */
  partiesOf(messages: readonly Pick<Outbound, "senderId" | "receiverId">[]): number[] {
    return [...this.#addressing.partiesOf(messages)];
  }

  /**
   * Sends messages on their way, in the order given and after those of earlier calls, and answers for each whether a
   * receiver is online; it does not wait for the servers.
   * @param connected of all `partiesOf` these, as they were after the messages stood in the log
   */
  async push(messages: readonly Outbound[], connected: Promise<Connected>): Promise<boolean[]> {
    const found = Promise.all([connected, this.#pushed]);
    this.#pushed = found.catch(() => undefined);
    this.#underWay.set(messages, this.#pushed);
    try {
      const [sessions] = await found;
      const { parcels, written, online } = this.#addressing.sort(messages, sessions);
      // Nobody waits for this: a mark that cannot be taken off now comes back with the sweep.
      const dispatched = this.#dispatch(messages, parcels, written)
        .catch((error) => this.#parts.logger.warn({ error: String(error) }, "delivered messages stay marked"))
        .finally(() => this.#underWay.delete(messages));
      this.#underWay.set(messages, dispatched);
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
    await Promise.all(
      targetsOf(this.#addressing.inSight(sessions)).map((target) => this.#downlinks.send(target, item)),
    );
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
      // What is on its way from here is marked as well, and may be older than what nobody delivers.
      const marked = await this.#parts.log.unpushed(before, SWEEP_LIMIT, this.#namesUnderWay());
      // What an append that took long brought meanwhile is on its way only now.
      const underWay = this.#namesUnderWay();
      const left = marked.filter((message) => !underWay.has(nameOf(message)));
      if (left.length === 0) return;
      this.#parts.logger.info({ messages: left.length }, "taking up messages that were not pushed");
      const outbound = left.map(toOutbound);
      await this.push(outbound, this.#parts.connected(this.partiesOf(outbound)));
    } catch (error) {
      this.#parts.logger.warn({ error: String(error) }, "cannot look for messages that were not pushed");
    } finally {
      this.#sweeping = false;
    }
  }

  #namesUnderWay(): Set<string> {
    return new Set([...this.#underWay.keys()].flatMap((messages) => messages.map(nameOf)));
  }

  /** Resolves when nothing is on its way any more: it would be pushed again by another route. */
  async stop(): Promise<void> {
    clearInterval(this.#sweeper);
    this.#unwatch();
    this.#downlinks.stop();
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values());
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
    const to =
      receiverId === null ? { everyone: true } : { userIds: this.#addressing.receivers(message).map(BigInt) };
    return downlink({ case: "delivery", value: { conversation, seq: BigInt(seq), ...to } });
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
