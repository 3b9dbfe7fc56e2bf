/**
 * What each thing that clients do may cost, counted at real processes: one route, two servers, with either engine. Time
 * is no part of it. A number that has to be raised is a decision; one that can be lowered should be.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ALL, p2p } from "../../proto/conversation.ts";
import { encodeFrame } from "../../proto/frame.ts";
import { Command } from "../../proto/gen/cim_pb.ts";
import { PROCESS_TEST_MS } from "../support/process.ts";
import { redisMissing } from "../support/redis.ts";
import { type Member, Spending, type Spent } from "../support/spending.ts";
import { straceMissing } from "../support/syncs.ts";

setDefaultTimeout(2 * PROCESS_TEST_MS);

/** At most; what was counted when this was written; why. */
type Budget = readonly [atMost: number, counted: number, why: string];
type Operation = (typeof OPERATIONS)[number];

const OPERATIONS = [
  "p2p, one by one",
  "p2p, 64 in one Send",
  "p2p over HTTP",
  "all",
  "a login",
  "a heartbeat",
  "ten acknowledgements",
] as const;

/** Messages that are sent one by one; what is counted is for each of them. */
const ONE_BY_ONE = 8;
const TOGETHER = 64;
/** Of all messages: a messageId and a text of eight characters. */
const TEXT_LENGTH = 8;

const APPEND = "head, retries, retries again, log, place among the oldest (a first message only), mark, head";
const SETTLED = "the append, and later for up to 512 messages together: their slice, and the journal emptied";

/** What servers say of themselves, with either engine. */
const SERVERS: Record<Operation, Record<string, Budget>> = {
  "p2p, one by one": {
    "uplink calls": [1, 1, "nobody else has anything to say"],
    "downlink calls": [1, 1, "to the receiver's server; the other one hears nothing"],
    writes: [2, 2, "the message to its receiver, the receipt to its sender"],
    "bytes to clients": [96, 86, "a message (52) and a receipt (34)"],
    "bytes from clients": [48, 37, "a Send"],
  },
  "p2p, 64 in one Send": {
    "uplink calls": [1, 1, "a Send is passed on as it came"],
    "downlink calls": [1, 1, "what is for one server goes together"],
    writes: [4, 4, "one receipt for all; the first message at once, the others at the ends of two turns"],
    "bytes to clients": [5632, 5128, "a message and its part of the receipt: 80 for each"],
    "bytes from clients": [2176, 1992, "31 for each"],
  },
  "p2p over HTTP": {
    "uplink calls": [0, 0, "the route has it already"],
    "downlink calls": [1, 1, "to the receiver's server"],
    writes: [1, 1, "the message; its sender has no connection"],
    "bytes to clients": [96, 81, "a message, whose id the route chose (36 characters)"],
    "bytes from clients": [0, 0, "none"],
  },
  all: {
    "uplink calls": [1, 1, "as any other"],
    "downlink calls": [2, 2, "one for each server, whoever is on it"],
    "writes beyond one for each connection": [0, 0, "each receiver the message, the sender the receipt"],
    "bytes to clients, for each connection": [56, 47, "the message"],
    "bytes from clients": [48, 33, "a Send"],
  },
  "a login": {
    "uplink calls": [2, 2, "that the connection is there, and what it missed; one if both come at once"],
    "downlink calls": [0, 0, "nobody is told"],
    writes: [2, 2, "the welcome, and the page"],
    "bytes to clients": [96, 59, "a welcome and a page with nothing in it"],
    "bytes from clients": [512, 354, "the token"],
  },
  "a heartbeat": {
    "uplink calls": [0, 0, "a heartbeat is between client and server"],
    "downlink calls": [0, 0, "none"],
    writes: [1, 1, "the answer"],
    "bytes to clients": [12, 11, "pong"],
    "bytes from clients": [12, 11, "ping, with the number that the test asks by"],
  },
  "ten acknowledgements": {
    "uplink calls": [1, 1, "what one connection acknowledges in a second goes together"],
    "downlink calls": [0, 0, "none"],
    writes: [0, 0, "an acknowledgement has no answer"],
    "bytes to clients": [0, 0, "none"],
    "bytes from clients": [200, 190, "19 for each"],
  },
};

/** Commands that scripts run are counted, too. */
const REDIS: Record<Operation, Record<string, Budget>> = {
  "p2p, one by one": {
    appends: [1, 1, "one script"],
    "commands of the largest append": [7, 6, APPEND],
    "Redis commands": [
      12,
      11,
      "the append (7), is there such an account (1), its sessions (2), the mark off (2)",
    ],
  },
  "p2p, 64 in one Send": {
    appends: [1, 1, "what comes together is appended together"],
    "commands of the largest append": [7, 6, "of many messages as of one"],
    "Redis commands": [12, 11, "of many messages as of one"],
  },
  "p2p over HTTP": {
    appends: [1, 1, "one script"],
    "commands of the largest append": [7, 6, APPEND],
    "Redis commands": [14, 13, "as over a connection, and the sender's account (2)"],
  },
  all: {
    appends: [1, 1, "one, whoever receives it"],
    "commands of the largest append": [7, 6, APPEND],
    "Redis commands": [10, 9, "nobody's session is looked up"],
  },
  "a login": {
    "Redis commands": [36, 34, "account, claim, confirmation, CIM v2's keys after both, and what was missed"],
  },
  "a heartbeat": { "Redis commands": [0, 0, "none"] },
  "ten acknowledgements": {
    "Redis commands": [
      8,
      8,
      "two scripts: is there such a message, and the cursor, of the device and of all",
    ],
  },
};

/** Pages are those of the write-ahead log, of 4 KiB; `syncs` is the route waiting for the disk. */
const SQLITE: Record<Operation, Record<string, Budget>> = {
  "p2p, one by one": {
    "journal rows": [1, 1, "a batch is a row"],
    transactions: [3, 1.25, SETTLED],
    "pages written": [14, 4, "three for the append; the rest is shared by what settles together"],
    syncs: [1, 1, "accepted means on the disk"],
  },
  "p2p, 64 in one Send": {
    "journal rows": [1, 1, "a batch is a row"],
    transactions: [3, 3, SETTLED],
    "pages written": [32, 17, "of many messages little more than of one: they lie side by side"],
    syncs: [1, 1, "once for all of them"],
  },
  "p2p over HTTP": {
    "journal rows": [1, 1, "as over a connection"],
    transactions: [3, 3, SETTLED],
    "pages written": [14, 10, "as over a connection, alone"],
    syncs: [1, 1, "as over a connection"],
  },
  all: {
    "journal rows": [1, 1, "one, whoever receives it"],
    transactions: [3, 3, SETTLED],
    "pages written": [14, 10, "one message"],
    syncs: [1, 1, "one"],
  },
  "a login": {
    "journal rows": [0, 0, "no message"],
    transactions: [3, 3, "the device's place in all, the claim, the confirmation"],
    "pages written": [6, 3, "one for each"],
    syncs: [0, 0, "a power cut costs a login, and no message"],
  },
  "a heartbeat": {
    transactions: [0, 0, "none"],
    syncs: [0, 0, "none"],
  },
  "ten acknowledgements": {
    "journal rows": [0, 0, "no message"],
    transactions: [1, 1, "all that a call brings"],
    "pages written": [2, 1, "a cursor"],
    syncs: [0, 0, "what a power cut takes is read once more"],
  },
};

const FEW = 8;
const MANY = 40;

class Chat {
  #next = 0;
  #online: Member[] = [];
  /** Registered, and not logged in yet. */
  readonly #newcomers: string[] = [];

  private constructor(
    readonly spending: Spending,
    readonly alice: Member,
    readonly bob: Member,
  ) {
    this.#online = [bob];
  }

  static async open(spending: Spending): Promise<Chat> {
    const chat = new Chat(spending, await spending.join("alice"), await spending.join("bob"));
    // Once before it is counted: scripts are loaded, conversations begun, servers found to be there.
    await chat.grow(FEW);
    for (const operation of OPERATIONS) await chat.operations[operation]();
    return chat;
  }

  async grow(online: number): Promise<void> {
    const missing = Array.from({ length: online - this.spending.online }, (_, i) => `idle-${online}-${i}`);
    this.#online.push(...(await Promise.all(missing.map((name) => this.spending.join(name)))));
    this.#newcomers.push(`late-${online}`, `later-${online}`);
    for (const name of this.#newcomers) await this.spending.register(name);
  }

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
      await this.spending.engine.acknowledged(this.bob.userId, this.#conversation, this.#acknowledged);
    },
  };

  #acknowledged = 0;

  get #conversation(): string {
    return p2p(this.alice.userId, this.bob.userId);
  }

  async #send(count: number): Promise<void> {
    this.alice.wire.send(this.#conversation, ...Array.from({ length: count }, () => this.#text()));
    await this.alice.wire.sent();
    for (let i = 0; i < count; i++) await this.bob.wire.message();
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

for (const [engine, missing, open, own] of [
  ["Redis", redisMissing, () => Spending.redis(), REDIS],
  ["SQLite", null, () => Spending.sqlite(), SQLITE],
] as const) {
  describe.skipIf(missing !== null)(missing ?? `with ${engine}, ${FEW} online as ${MANY}`, () => {
    let spending: Spending;
    let few: Record<Operation, Spent>;
    let many: Record<Operation, Spent>;

    beforeAll(async () => {
      spending = await open();
      const chat = await Chat.open(spending);
      few = await chat.spent();
      await chat.grow(MANY);
      many = await chat.spent();
    });

    afterAll(() => spending?.[Symbol.asyncDispose]());

    /** What was more than it may be: counted with few and with many online. */
    function over(operation: Operation, isLookedAt: (what: string) => boolean): string[] {
      const budgets = Object.entries({ ...SERVERS[operation], ...own[operation] });
      return budgets.flatMap(([what, [atMost]]) => {
        const counted = [few[operation][what], many[operation][what]];
        if (!isLookedAt(what) || counted.every((count) => count !== undefined && count <= atMost)) return [];
        return [`${what}: ${counted.join(" and ")}, at most ${atMost}`];
      });
    }

    for (const operation of OPERATIONS) {
      test(`${operation} costs no more than it may`, () => {
        expect(over(operation, (what) => what !== "syncs")).toEqual([]);
      });
      if (!("syncs" in own[operation])) continue;
      test.skipIf(straceMissing !== null)(
        straceMissing ?? `${operation} waits for the disk no more often than it may`,
        () => expect(over(operation, (what) => what === "syncs")).toEqual([]),
      );
    }
  });
}
