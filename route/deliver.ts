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

/** A stored message on its way, and the session it came from ("": none). */
export interface Delivery extends Stored {
  senderId: number;
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

export class Deliver {
  readonly #parts: DeliverParts;
  readonly #queues = new Map<string, Batcher<DownlinkItem, Fate>>();
  // Messages this route is delivering, so that its own sweep leaves them alone.
  readonly #underWay = new Set<string>();
  readonly #unmark: Batcher<{ conversation: string; seq: number }, undefined>;
  readonly #sweeper: ReturnType<typeof setInterval>;
  readonly #retries = new Set<ReturnType<typeof setTimeout>>();
  readonly #sight = new Sight();
  readonly #unwatch: () => void;
  #sweeping = false;

  constructor(parts: DeliverParts) {
    this.#parts = parts;
    this.#unmark = new Batcher(async (messages) => {
      await parts.log.pushed(messages);
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
  async push(messages: readonly Delivery[]): Promise<boolean[]> {
    const fresh = messages.filter((message) => !message.retry);
    for (const message of fresh) this.#underWay.add(keyOf(message));
    const parties = messages.map((message) => this.#parties(message));
    try {
      const userIds = new Set(parties.flatMap((party) => party?.userIds ?? []));
      const connected = await this.#parts.connected([...userIds]);
      return messages.map((message, i) => this.#dispatch(message, parties[i]!, connected));
    } catch (error) {
      for (const message of fresh) this.#underWay.delete(keyOf(message));
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
      const left = marked.filter((message) => !this.#underWay.has(keyOf(message)));
      if (left.length === 0) return;
      this.#parts.logger.info({ messages: left.length }, "taking up messages that were not pushed");
      await this.push(
        left.map((message) => ({ ...message, senderId: senderOf(message), sessionId: "", retry: false })),
      );
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

  /** Who takes part in a private message; null for one to everyone. */
  #parties(message: Delivery): { receiverId: number; userIds: number[] } | null {
    const conversation = parseConversation(message.conversation);
    if (conversation.kind === "all") return null;
    const receiverId = peerOf(conversation, message.senderId)!;
    // Under `multi` the sender's other devices get it too; otherwise the sender has only the session it sends from.
    const userIds = this.#parts.policy === "multi" ? [receiverId, message.senderId] : [receiverId];
    return { receiverId, userIds };
  }

  #dispatch(
    message: Delivery,
    party: { receiverId: number; userIds: number[] } | null,
    connected: Map<number, Session[]>,
  ): boolean {
    if (party === null) {
      if (message.retry) return true;
      const item = this.#delivery(message, { everyone: true });
      const targets = this.#parts.servers
        .alive()
        .map((server) => ({ address: addressOf(server), bootId: server.bootId }));
      // Only now: whoever is not among these lacks it.
      this.#sight.saidToEveryone();
      this.#follow(
        message,
        targets.map((target) => this.#send(target, item)),
      );
      return true;
    }
    const others = party.userIds
      .flatMap((userId) => connected.get(userId) ?? [])
      .filter((session) => session.sessionId !== message.sessionId);
    const sessions = this.#inSight(others);
    const receiverOnline = sessions.some((session) => session.userId === party.receiverId);
    if (message.retry) return receiverOnline;
    const item = this.#delivery(message, { userIds: party.userIds.map(BigInt) });
    this.#follow(
      message,
      targetsOf(sessions).map((target) => this.#send(target, item)),
    );
    return receiverOnline;
  }

  #delivery(message: Delivery, to: { everyone: true } | { userIds: bigint[] }): DownlinkItem {
    const { bytes, conversation, seq, senderId, sessionId } = message;
    const multi = this.#parts.policy === "multi";
    const except = multi ? { exceptSessionId: sessionId } : { exceptUserId: BigInt(senderId) };
    return downlink({
      case: "delivery",
      value: { message: bytes, conversation, seq: BigInt(seq), ...to, ...except },
    });
  }

  // Nobody waits for this: a mark that cannot be taken off now comes back with the sweep.
  #follow(message: Delivery, fates: Promise<Fate>[]): void {
    void Promise.all(fates)
      .then((all) => (all.includes("left") ? undefined : this.#unmark.add(message)))
      .catch((error) => this.#parts.logger.warn({ error: String(error) }, "a delivered message stays marked"))
      .finally(() => this.#underWay.delete(keyOf(message)));
  }

  #send(target: Target, item: DownlinkItem): Promise<Fate> {
    if (isV2(target.bootId)) return this.#parts.v2Servers.take(target, item);
    const queue = this.#queue(target);
    if (queue.waiting.bytes > MAX_WAITING_BYTES) return Promise.resolve("left");
    return queue.add(item);
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
      this.#sight.passedBy(targetKey({ address: server, bootId }));
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
        .map((target) => [targetKey(target), target]),
    );
    for (const { key, everything } of this.#sight.look(targets.keys())) {
      this.#parts.logger.info(
        { server: key, everything },
        "a server may lack messages: its clients look again",
      );
      this.#insist(targets.get(key)!, downlink({ case: "lookAgain", value: { everything } }));
    }
  }

  #queue(target: Target): Batcher<DownlinkItem, Fate> {
    const key = targetKey(target);
    const known = this.#queues.get(key);
    if (known) return known;
    const queue = new Batcher((items: DownlinkItem[]) => this.#call(target, items), sizeOf, {
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

  async #call(target: Target, items: DownlinkItem[]): Promise<Fate[]> {
    const fate = await this.#post(target, items);
    if (fate === "gone") this.#sight.passedBy(targetKey(target));
    return items.map(() => fate);
  }

  async #post(target: Target, items: DownlinkItem[]): Promise<Fate> {
    const { servers, logger } = this.#parts;
    const server = servers.find(target.address, target.bootId);
    if (!server) return servers.state(target.address, target.bootId) === "gone" ? "gone" : "left";
    try {
      await servers.post(server, toBinary(DownlinkSchema, create(DownlinkSchema, { items })));
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

function targetKey({ address, bootId }: Target): string {
  return `${address} ${bootId}`;
}

function keyOf(message: { conversation: string; seq: number }): string {
  return `${message.conversation} ${message.seq}`;
}

function senderOf(message: Stored): number {
  return Number(decodeMessage(message.bytes).senderId);
}

function targetsOf(sessions: readonly Session[]): Target[] {
  const targets = new Map(
    sessions
      .map(({ server, bootId }) => ({ address: server, bootId }))
      .map((target) => [targetKey(target), target]),
  );
  return [...targets.values()];
}

function downlink(
  body: NonNullable<Parameters<typeof create<typeof DownlinkItemSchema>>[1]>["body"],
): DownlinkItem {
  return create(DownlinkItemSchema, { body } as Parameters<typeof create<typeof DownlinkItemSchema>>[1]);
}

function sizeOf(item: DownlinkItem): number {
  return item.body.case === "delivery" ? item.body.value.message.length + 64 : 64;
}
