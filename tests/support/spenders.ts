/** The members of a chat whose costs are counted, and what they do. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ALL, p2p } from "../../proto/conversation.ts";
import { encodeFrame } from "../../proto/frame.ts";
import { Command, type OutgoingSchema, SendSchema } from "../../proto/gen/cim_pb.ts";
import type { Member, Spending, Spent } from "./spending.ts";

export const OPERATIONS = [
  "p2p, one by one",
  "p2p, 64 in one Send",
  "p2p to six, in one Send",
  "p2p over HTTP",
  "all",
  "a login",
  "a heartbeat",
  "thirty acknowledgements, one by one",
  "ten acknowledgements",
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Messages that are sent one by one; what is counted is for each of them. */
const ONE_BY_ONE = 8;
const TOGETHER = 64;
const SIX = 6;
/** Of all messages: a messageId and a text of eight characters. */
const TEXT_LENGTH = 8;

export class Spenders {
  #next = 0;
  #acknowledged = 0;
  /** All but alice, who sends. */
  readonly #online: Member[] = [];
  /** Registered, and not logged in yet. */
  readonly #newcomers: string[] = [];

  private constructor(
    readonly spending: Spending,
    readonly alice: Member,
    readonly bob: Member,
  ) {
    this.#online = [bob];
  }

  /** @param online how many are connected at first */
  static async open(spending: Spending, online: number): Promise<Spenders> {
    const spenders = new Spenders(spending, await spending.join("alice"), await spending.join("bob"));
    await spenders.grow(online);
    // Once before it is counted: scripts are loaded, conversations begun, servers found to be there.
    for (const operation of OPERATIONS) await spenders.operations[operation]();
    return spenders;
  }

  /** Has so many be connected in all. */
  async grow(online: number): Promise<void> {
    const missing = Array.from({ length: online - this.spending.online }, (_, i) => `idle-${online}-${i}`);
    this.#online.push(...(await Promise.all(missing.map((name) => this.spending.join(name)))));
    this.#newcomers.push(`late-${online}`, `later-${online}`);
    for (const name of this.#newcomers) await this.spending.register(name);
  }

  /** What each operation costs; of those made several times, one. */
  async spent(): Promise<Record<Operation, Spent>> {
    const spent = {} as Record<Operation, Spent>;
    for (const operation of OPERATIONS) {
      const online = this.spending.online;
      const all = await this.spending.on(this.operations[operation]);
      if (operation === "all") {
        all["writes beyond one for each connection"] = all.writes! - online;
        all["bytes to clients, for each connection"] = all["bytes to clients"]! / online;
      }
      const times = operation === "p2p, one by one" ? ONE_BY_ONE : 1;
      spent[operation] = Object.fromEntries(
        Object.entries(all).map(([name, count]) => [name, count / times]),
      );
    }
    return spent;
  }

  /** Each answers once all it came to is done. */
  readonly operations: Record<Operation, () => Promise<unknown>> = {
    "p2p, one by one": async () => {
      for (let i = 0; i < ONE_BY_ONE; i++) await this.#send(1);
      await this.#settled();
    },
    "p2p, 64 in one Send": async () => {
      await this.#send(TOGETHER);
      await this.#settled();
    },
    "p2p to six, in one Send": async () => {
      const receivers = this.#online.slice(1, 1 + SIX);
      const messages = receivers.map(({ userId }): MessageInitShape<typeof OutgoingSchema> => {
        const text = this.#text();
        return {
          conversation: p2p(this.alice.userId, userId),
          messageId: text,
          content: { case: "text", value: text },
        };
      });
      const value = toBinary(SendSchema, create(SendSchema, { messages }));
      this.alice.wire.control({ case: "send", value });
      await this.alice.wire.sent();
      for (const { wire } of receivers) await wire.message();
      for (const { conversation } of messages) await this.spending.engine.settled(conversation!);
    },
    "p2p over HTTP": async () => {
      const to = { userId: this.alice.userId, receiveUserId: this.bob.userId };
      await this.spending.post("/p2pRoute", { ...to, msg: this.#text() });
      await this.bob.wire.message();
      await this.#settled();
    },
    all: async () => {
      this.alice.wire.send(ALL, this.#text());
      await this.alice.wire.sent();
      for (const { wire } of this.#online) await wire.message();
      await this.spending.engine.settled(ALL);
    },
    "a login": async () => {
      this.#online.push(await this.spending.login(this.#newcomers.pop()!));
    },
    "a heartbeat": () => this.bob.wire.ping(),
    "ten acknowledgements": async () => {
      const from = this.#acknowledged;
      this.#acknowledged += 10;
      // In one piece: what arrives in two may fall into two calls.
      const acks = Array.from({ length: 10 }, (_, i) => ackOf(this.#conversation, from + 1 + i));
      this.bob.wire.write(Buffer.concat(acks));
      await this.#cursorMoved();
    },
    "thirty acknowledgements, one by one": async () => {
      for (let i = 0; i < 30; i++) {
        this.bob.wire.ack(this.#conversation, ++this.#acknowledged);
        // The server has taken it.
        await this.bob.wire.ping();
      }
      await this.#cursorMoved();
    },
  };

  get #conversation(): string {
    return p2p(this.alice.userId, this.bob.userId);
  }

  async #send(count: number): Promise<void> {
    this.alice.wire.send(this.#conversation, ...Array.from({ length: count }, () => this.#text()));
    await this.alice.wire.sent();
    for (let i = 0; i < count; i++) await this.bob.wire.message();
  }

  #cursorMoved(): Promise<unknown> {
    return this.spending.engine.acknowledged(this.bob.userId, this.#conversation, this.#acknowledged);
  }

  #settled(): Promise<unknown> {
    return this.spending.engine.settled(this.#conversation);
  }

  #text(): string {
    return String(this.#next++).padStart(TEXT_LENGTH, "0");
  }
}

function ackOf(conversation: string, seq: number): Uint8Array {
  const value = { cursors: [{ conversation, seq: BigInt(seq) }] };
  return encodeFrame({ cmd: Command.CONTROL, body: { case: "ack", value } });
}
