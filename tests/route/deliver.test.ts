import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import type { ServerInstance } from "../../common/registry/registry.ts";
import { addressOf } from "../../common/registry/registry.ts";
import { ALL, p2p } from "../../proto/conversation.ts";
import { DownlinkSchema } from "../../proto/gen/link_pb.ts";
import { decodeMessage } from "../../proto/message.ts";
import type { Outgoing } from "../../proto/send.ts";
import { CimError } from "../../proto/status.ts";
import { Accept } from "../../route/accept.ts";
import { Deliver, TAKE_OVER_MS } from "../../route/deliver.ts";
import { RateLimit } from "../../route/rate-limit.ts";
import type { Draft } from "../../route/store/log.ts";
import type { Session } from "../../route/store/sessions.ts";
import { openSqlite } from "../../route/store/sqlite.ts";
import type { Store } from "../../route/store/store.ts";
import { encoded } from "../support/encoded.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const one = instance(1);
const two = instance(2);
const alice = { userId: 1, userName: "alice", sessionId: "s-alice" };

let store: Store;
let network: Network;
let deliver: Deliver;
let accept: Accept;
let now: number;
/** Receivers that were asked about, by call. */
let asked: number[][];

beforeEach(async () => {
  store = await openSqlite(":memory:");
  network = new Network([one, two]);
  now = Date.now();
  asked = [];
  start("reject");
});

afterEach(async () => {
  await deliver.stop();
  await store.close();
});

describe("a message", () => {
  test("costs one call per server that has receivers, whoever else is online", async () => {
    for (let user = 3; user < 2000; user++) network.connect(user, one);
    network.connect(2, two);
    await say(p2p(1, 2), "hello");
    await network.idle();
    expect(network.calls).toEqual([{ server: addressOf(two), items: ["hello → 2"] }]);
  });

  test("to everyone costs one call per server, however many are online", async () => {
    for (let user = 2; user < 2000; user++) network.connect(user, user % 2 ? one : two);
    await say(ALL, "hello");
    await network.idle();
    expect(network.calls).toEqual([
      { server: addressOf(one), items: ["hello → everyone but 1"] },
      { server: addressOf(two), items: ["hello → everyone but 1"] },
    ]);
  });

  test("shares the next call with those that arrive while one is under way", async () => {
    network.connect(2, one);
    const release = network.hold();
    const said = ["a", "b", "c"].map((text) => say(p2p(1, 2), text));
    await Promise.all(said);
    await say(p2p(1, 2), "d");
    await say(p2p(1, 2), "e");
    release();
    await network.idle();
    expect(network.calls.map((call) => call.items.length)).toEqual([3, 2]);
  });

  test("is answered with 7000 when the receiver is away, and stored", async () => {
    const [receipt] = await say(p2p(1, 9), "hello");
    expect(receipt).toMatchObject({ status: "RECEIVER_OFFLINE", seq: 1 });
    expect((await store.log.read(p2p(1, 9), 0, { messages: 10, bytes: 1000 })).messages).toHaveLength(1);
  });

  test("that is sent again keeps its place, is not pushed twice, and is told whether the receiver is there", async () => {
    network.connect(2, one);
    const first = await accept.send({ sender: alice, messages: [text(p2p(1, 2), "hello", "m-1")] });
    const again = await accept.send({ sender: alice, messages: [text(p2p(1, 2), "hello", "m-1")] });
    await network.idle();
    expect({ again, calls: network.calls.length }).toEqual({ again: first, calls: 1 });
  });
});

describe("a server that does not take a message", () => {
  test("does not keep it from the receivers on other servers", async () => {
    network.connect(2, one);
    network.connect(3, two);
    network.down.add(addressOf(one));
    const [receipt] = await say(ALL, "hello");
    await network.idle();
    expect(receipt!.status).toBe("SUCCESS");
    expect(network.calls).toEqual([{ server: addressOf(two), items: ["hello → everyone but 1"] }]);
  });

  test("gets it when it answers again, from whichever route sees the mark", async () => {
    network.connect(2, one);
    network.down.add(addressOf(one));
    await say(p2p(1, 2), "hello");
    await network.idle();
    network.down.clear();
    now += TAKE_OVER_MS + 1;
    start("reject"); // another route, which knows nothing but the store
    await deliver.sweep();
    await network.idle();
    expect(network.calls).toEqual([{ server: addressOf(one), items: ["hello → 2"] }]);
    expect(await store.log.unpushed(now + 1, 10)).toEqual([]);
  });

  test("keeps no message marked once it is gone", async () => {
    network.connect(2, one);
    network.down.add(addressOf(one));
    network.gone.add(addressOf(one));
    await say(p2p(1, 2), "hello");
    await network.idle();
    expect(await store.log.unpushed(now + TAKE_OVER_MS, 10)).toEqual([]);
  });
});

// The look showed the oldest thousand marks, all of them its own: what a dead route had left waited behind them.
test("a dead route's message is taken up although a thousand older ones are on their way to a slow server", async () => {
  network.connect(2, one);
  network.connect(3, two);
  const release = network.hold();
  const messages = Array.from({ length: 1000 }, () => text(p2p(1, 2), "slow"));
  await accept.send({ sender: alice, messages });
  // Calls from now on are answered.
  network.hold()();
  const left = { conversation: p2p(1, 3), messageId: "m", senderId: 1, at: now };
  const bytes = encoded({ ...left, content: { case: "text", value: "left" } });
  await store.log.append([{ ...left, bytes }]);
  now += TAKE_OVER_MS + 1;
  await deliver.sweep();
  await network.idle();
  expect(network.calls).toEqual([{ server: addressOf(two), items: ["left → 3"] }]);
  release();
});

test("a message whose append took longer than others wait is not taken up while it goes on its way", async () => {
  network.connect(2, one);
  const fields = { conversation: p2p(1, 2), messageId: "m", senderId: 1 };
  const bytes = encoded({ ...fields, at: now, content: { case: "text", value: "slow" } });
  const [place] = await store.log.append([{ ...fields, at: now, bytes }]);
  now += TAKE_OVER_MS + 1;
  const release = network.hold();
  const { unpushed } = store.log;
  store.log.unpushed = async (...given) => {
    const found = await unpushed(...given);
    const outbound = { ...fields, ...place!, bytes, receiverId: 2, sessionId: "" };
    await deliver.push([outbound], network.connected([2]));
    return found;
  };
  await deliver.sweep();
  release();
  await network.idle();
  expect(network.calls).toEqual([{ server: addressOf(one), items: ["slow → 2"] }]);
});

describe("a server that was out of sight while something was said", () => {
  // It used to be forgotten: a private message until the receiver's next login, one to everyone until the next one.
  for (const [conversation, item] of [
    [p2p(1, 2), "look again: everything"],
    [ALL, "look again: all"],
  ] as const) {
    test(`to ${conversation} has its clients look again once it is back, and only then`, async () => {
      network.connect(2, one);
      network.lose(one);
      await say(conversation, "hello");
      network.regain(one);
      network.lose(one);
      network.regain(one);
      await network.idle();
      expect(network.calls.filter(({ server }) => server === addressOf(one))).toEqual([
        { server: addressOf(one), items: [item] },
      ]);
    });
  }

  test("on its way to it has its clients look again once it is back", async () => {
    network.connect(2, one);
    const release = network.hold();
    await say(p2p(1, 2), "under way");
    await say(p2p(1, 2), "waiting");
    network.lose(one);
    network.down.add(addressOf(one));
    release();
    await network.idle();
    network.down.clear();
    network.regain(one);
    await network.idle();
    expect(network.calls).toEqual([{ server: addressOf(one), items: ["look again: everything"] }]);
  });

  test("that a session is over has its clients look again, which finds that out", async () => {
    network.connect(2, one);
    network.lose(one);
    deliver.close(network.session(2), "kicked");
    await network.idle();
    network.regain(one);
    await network.idle();
    expect(network.calls).toEqual([{ server: addressOf(one), items: ["look again: everything"] }]);
  });

  test("for others only is left alone", async () => {
    network.connect(2, two);
    network.lose(one);
    await say(p2p(1, 2), "hello");
    network.regain(one);
    await network.idle();
    expect(network.calls).toEqual([{ server: addressOf(two), items: ["hello → 2"] }]);
  });
});

describe("what may not be said", () => {
  const cases: [string, Outgoing, string][] = [
    ["in a conversation of others", text(p2p(2, 3), "x"), "FORBIDDEN"],
    ["to nobody", text("p2p:1:999", "x"), "INVALID"],
    ["in a conversation that is none", text("p2p:2:1", "x"), "INVALID"],
    ["without content", text(ALL, ""), "INVALID"],
    ["with a byte more than 60 KiB", text(ALL, "x".repeat(60 * 1024 + 1)), "INVALID"],
    ["with half a character", text(ALL, "\ud83d"), "INVALID"],
    ["with a messageId of 65 characters", text(ALL, "x", "m".repeat(65)), "INVALID"],
  ];
  for (const [what, message, status] of cases) {
    test(`${what} is refused with its reason, and those around it are stored`, async () => {
      const receipts = await accept.send({
        sender: alice,
        messages: [text(ALL, "before"), message, text(ALL, "after")],
      });
      expect(receipts.map((receipt) => receipt.status)).toEqual(["SUCCESS", status, "SUCCESS"] as never);
      expect(receipts[1]!.detail).not.toBe("");
    });
  }

  test("is refused together with all that follows when it may be said later, so that order holds", async () => {
    start("reject", 2);
    const receipts = await accept.send({
      sender: alice,
      messages: [text(ALL, "a"), text(ALL, "b"), text(ALL, "c"), text(ALL, "d")],
    });
    const statuses = receipts.map((receipt) => receipt.status);
    expect(statuses).toEqual(["SUCCESS", "SUCCESS", "RATE_LIMITED", "RATE_LIMITED"]);
  });
});

describe("what many send in one turn", () => {
  test("is accepted in one step, and a refusal concerns only what came with it", async () => {
    const receipts = await Promise.all([2, 999, 3].map((receiver) => say(p2p(1, receiver), "hello")));
    expect({ asked, receipts: receipts.map((its) => its.map(({ status, seq }) => [status, seq])) }).toEqual({
      asked: [[2, 999, 3]],
      receipts: [[["RECEIVER_OFFLINE", 1]], [["INVALID", 0]], [["RECEIVER_OFFLINE", 1]]],
    });
  });

  test("counts against the rate of those whose rate is limited alone", async () => {
    start("reject", 1);
    const [first, backend, second] = [text(ALL, "a"), text(ALL, "b"), text(ALL, "c")];
    const receipts = await Promise.all([
      accept.send({ sender: alice, messages: [first] }),
      accept.send({ sender: alice, messages: [backend], limited: false }),
      accept.send({ sender: alice, messages: [second] }),
    ]);
    const statuses = receipts.flat().map((receipt) => receipt.status);
    expect(statuses).toEqual(["SUCCESS", "SUCCESS", "RATE_LIMITED"]);
  });
});

test("a stop waits for what is on its way, so that no other route pushes it again", async () => {
  network.connect(2, one);
  const release = network.hold();
  await say(p2p(1, 2), "hello");
  let stopped = false;
  const stopping = deliver.stop().then(() => {
    stopped = true;
  });
  await new Promise(setImmediate);
  const before = [stopped, (await store.log.unpushed(Infinity, 10)).length];
  release();
  await stopping;
  expect([before, await store.log.unpushed(Infinity, 10)]).toEqual([[false, 1], []]);
});

test("under multi a message reaches the sender's other devices, and not the session it came from", async () => {
  start("multi");
  network.connect(2, one);
  network.connect(1, one, "s-alice");
  network.connect(1, two, "s-tablet");
  await say(p2p(1, 2), "hello");
  await network.idle();
  expect(network.calls.map((call) => call.server).sort()).toEqual([addressOf(one), addressOf(two)]);
});

function start(policy: "reject" | "multi", perSecond = 1000): void {
  void deliver?.stop();
  const parts = {
    log: store.log,
    servers: network,
    v2Servers: { take: async () => "left" as const },
    connected: network.connected,
    policy,
    logger: silent,
    now: () => now,
  };
  deliver = new Deliver(parts);
  const known = async (userIds: readonly number[]) => {
    asked.push([...userIds]);
    return new Set(userIds.filter((userId) => userId !== 999));
  };
  const enter = async (drafts: readonly Draft[], userIds: readonly number[]) => ({
    places: await store.log.append(drafts),
    connected: network.connected(userIds),
  });
  accept = new Accept({ enter, deliver, known, rates: new RateLimit(perSecond), now: () => now });
}

function say(conversation: string, content: string) {
  return accept.send({ sender: alice, messages: [text(conversation, content)] });
}

function text(conversation: string, value: string, messageId: string = crypto.randomUUID()): Outgoing {
  return { conversation, messageId, content: { case: "text", value } };
}

function instance(n: number): ServerInstance {
  const ports = { port: 1000 + n, httpPort: 2000 + n };
  return {
    host: "127.0.0.1",
    ...ports,
    bootId: `boot-${n}`,
    tls: false,
    version: "1",
    connections: 0,
    full: false,
  };
}

/** The servers as a route sees them: what they were called with, and which of them answer. */
class Network {
  readonly calls: { server: string; items: string[] }[] = [];
  readonly down = new Set<string>();
  readonly gone = new Set<string>();
  /** To be called when `gone` is another. */
  changed = () => {};
  readonly #sessions: Session[] = [];
  #held: Promise<void> = Promise.resolve();

  constructor(readonly instances: ServerInstance[]) {}

  connect(userId: number, server: ServerInstance, sessionId = `s-${userId}`): void {
    const place = { server: addressOf(server), bootId: server.bootId, slot: sessionId, device: sessionId };
    this.#sessions.push({ userId, userName: "", sessionId, ...place, confirmed: true, since: 0 });
  }

  connected = async (userIds: readonly number[]) =>
    new Map(userIds.map((id) => [id, this.#sessions.filter((session) => session.userId === id)]));

  alive = () => this.instances.filter((server) => !this.gone.has(addressOf(server)));
  watch(changed: () => void): () => void {
    this.changed = changed;
    return () => undefined;
  }
  state = (address: string) => (this.gone.has(address) ? ("gone" as const) : ("alive" as const));
  find = (address: string) => this.alive().find((server) => addressOf(server) === address) ?? null;

  session(userId: number): Session {
    return this.#sessions.find((session) => session.userId === userId)!;
  }

  lose(server: ServerInstance): void {
    this.gone.add(addressOf(server));
    this.changed();
  }

  regain(server: ServerInstance): void {
    this.gone.delete(addressOf(server));
    this.changed();
  }

  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = promise;
    return resolve;
  }

  async post(server: ServerInstance, body: Uint8Array): Promise<Uint8Array> {
    await this.#held;
    if (this.down.has(addressOf(server)))
      throw new CimError("FALLBACK", `no answer from ${addressOf(server)}`);
    const items = fromBinary(DownlinkSchema, body).items.map(({ body }) => {
      if (body.case === "lookAgain") return `look again: ${body.value.everything ? "everything" : "all"}`;
      if (body.case !== "delivery") return body.case!;
      const to = body.value.everyone
        ? `everyone but ${body.value.exceptUserId}`
        : body.value.userIds.join(" ");
      return `${decodeMessage(body.value.message).content.value} → ${to}`;
    });
    this.calls.push({ server: addressOf(server), items });
    return new Uint8Array();
  }

  /** Once everything that is under way has had its turn. */
  async idle(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}
