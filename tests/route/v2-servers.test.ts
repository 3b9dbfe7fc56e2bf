import { afterEach, beforeEach, expect, test } from "bun:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Link } from "../../common/link.ts";
import { addressOf, type ServerInstance, v2BootId } from "../../common/registry/registry.ts";
import { Leases } from "../../common/registry/route.ts";
import { Tokens } from "../../common/token.ts";
import { ALL, p2p } from "../../proto/conversation.ts";
import { DownlinkItemSchema } from "../../proto/gen/link_pb.ts";
import { Servers } from "../../route/servers.ts";
import { openSqlite } from "../../route/store/sqlite.ts";
import type { Store } from "../../route/store/store.ts";
import type { V2Push } from "../../route/v2-push.ts";
import { CONNECT_MS, V2Reader } from "../../route/v2-reader.ts";
import { V2Servers } from "../../route/v2-servers.ts";
import { encoded } from "../support/encoded.ts";
import { until } from "../support/until.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const server = instance(1);
const other = instance(2);
const target = { address: addressOf(server), bootId: server.bootId };
const OK = { code: "9000", message: "Success", reqNo: null, dataBody: { msg: "OK" } };

let store: Store;
let leases: Leases;
/** What the server was asked to push. */
let pushes: V2Push[];
let answer: (push: V2Push) => Response | Promise<Response>;
let routes: { servers: Servers; v2: V2Servers }[];
let route: V2Servers;
/** The routes' clock. */
let now: number;

beforeEach(async () => {
  store = await openSqlite(":memory:");
  leases = new Leases(600_000);
  leases.announce(server);
  leases.announce(other);
  pushes = [];
  answer = () => Response.json(OK);
  routes = [];
  now = Date.now();
  route = openRoute();
});

afterEach(async () => {
  for (const { servers } of routes) servers.close();
  await leases.close();
  await store.close();
});

test("a push is read to the user from the log, with what was kept before it, and the cursor follows", async () => {
  await connect(2);
  await say(p2p(1, 2), 1, "kept 1", "kept 2");
  await say(p2p(1, 2), 1, "live");
  expect([await route.take(target, push(p2p(1, 2), 3, 2)), shown(), await cursor(2, p2p(1, 2))]).toEqual([
    "taken",
    ["2 ← 1 OFFLINE kept 1,kept 2", "2 ← 1 MESSAGE live"],
    3,
  ]);
});

test("two routes that push to one user at once bring each message once, in order", async () => {
  await connect(2);
  const second = openRoute();
  answer = async () => {
    await Bun.sleep(2);
    return Response.json(OK);
  };
  const said: Promise<string>[] = [];
  for (let seq = 1; seq <= 20; seq++) {
    await say(p2p(1, 2), 1, `${seq}`);
    said.push((seq % 2 ? route : second).take(target, push(p2p(1, 2), seq, 2)));
  }
  expect(new Set(await Promise.all(said))).toEqual(new Set(["taken"]));
  expect(texts()).toEqual(Array.from({ length: 20 }, (_, i) => `${i + 1}`));
});

test("fault 8: fetches at once, on two routes, deliver everything once", async () => {
  await connect(2);
  await say(p2p(1, 2), 1, "1", "2");
  await say(p2p(2, 3), 3, "3");
  const second = openRoute();
  await Promise.all([route, second, route, second].map((one) => one.take(target, catchUp(2))));
  await until("all is read", async () => (await cursor(2, p2p(2, 3))) === 1);
  await route.take(target, push(p2p(2, 3), 1, 2));
  await second.take(target, push(p2p(2, 3), 1, 2));
  expect(shown()).toEqual(["2 ← 1 OFFLINE 1,2", "2 ← 3 OFFLINE 3"]);
});

test("a route that died while it read keeps the others from it for a while, and its message stays marked", async () => {
  await connect(2);
  await say(p2p(1, 2), 1, "1");
  await store.locks.take("v2:2", "the dead route", 60_000);
  const route = openRoute(30);
  expect([await route.take(target, push(p2p(1, 2), 1, 2)), pushes]).toEqual(["left", []]);
  await store.locks.release("v2:2", "the dead route");
  expect([await route.take(target, push(p2p(1, 2), 1, 2)), texts()]).toEqual(["taken", ["1"]]);
});

test("fault 8: what is not answered with Success moves no cursor, and comes once when it is", async () => {
  await connect(2);
  await say(p2p(1, 2), 1, "1", "2");
  await say(p2p(1, 2), 2, "own");
  await say(p2p(1, 2), 1, "3");
  answer = ({ msg }) => Response.json(msg === "3" ? { ...OK, code: "4000", dataBody: null } : OK);
  const first = await route.take(target, push(p2p(1, 2), 4, 2));
  const moved = await cursor(2, p2p(1, 2));
  answer = () => Response.json(OK);
  expect([first, moved, await route.take(target, push(p2p(1, 2), 4, 2)), texts()]).toEqual([
    "left",
    2,
    "taken",
    ["1", "2", "3", "3"],
  ]);
});

test("what was said while the store failed to note it is not said again by this route", async () => {
  await connect(2);
  await say(p2p(1, 2), 1, "1");
  const { ack } = store.cursors;
  store.cursors.ack = () => Promise.reject(new Error("away"));
  const first = await route.take(target, push(p2p(1, 2), 1, 2));
  store.cursors.ack = ack;
  await say(p2p(1, 2), 1, "2");
  expect([
    first,
    await route.take(target, push(p2p(1, 2), 2, 2)),
    texts(),
    await cursor(2, p2p(1, 2)),
  ]).toEqual(["left", "taken", ["1", "2"], 2]);
});

test("a server that does not answer is set aside: the next pushes are left without asking it", async () => {
  await connect(2);
  await connect(3);
  await say(p2p(1, 2), 1, "1");
  await say(p2p(1, 3), 1, "1");
  answer = () => {
    throw new Error("refused");
  };
  const fates = [
    await route.take(target, push(p2p(1, 2), 1, 2)),
    await route.take(target, push(p2p(1, 3), 1, 3)),
  ];
  expect([fates, pushes.length]).toEqual([["left", "left"], 1]);
});

test("what was asked for while the server did not answer comes when it does", async () => {
  await connect(2);
  await say(p2p(1, 2), 1, "1");
  answer = () => Response.json({ ...OK, code: "8000", dataBody: null });
  expect(await route.take(target, catchUp(2))).toBe("taken");
  await until("it was tried", () => pushes.length === 1);
  answer = () => Response.json(OK);
  await until("it is read", async () => (await cursor(2, p2p(1, 2))) === 1);
  expect(texts()).toEqual(["1", "1"]);
});

test("a message to everyone is read to the users of this server, but not to its sender", async () => {
  for (const user of [1, 2, 3]) await connect(user);
  await connect(4, other);
  await say(ALL, 1, "hello");
  const item = create(DownlinkItemSchema, {
    body: { case: "delivery", value: { conversation: ALL, seq: 1n, everyone: true } },
  });
  expect([
    await route.take(target, item),
    shown().sort(),
    await cursor(1, ALL),
    await cursor(4, ALL),
  ]).toEqual(["taken", ["2 ← 1 MESSAGE hello", "3 ← 1 MESSAGE hello"], 1, 0]);
});

test("messages to everyone that come at once share one look through the sessions", async () => {
  for (let user = 2; user < 50; user++) await connect(user);
  let lists = 0;
  const { list } = store.sessions;
  store.sessions.list = (...args) => {
    lists++;
    return list(...args);
  };
  await say(ALL, 1, ...Array.from({ length: 30 }, (_, i) => `${i}`));
  const items = Array.from({ length: 30 }, (_, i) =>
    create(DownlinkItemSchema, {
      body: { case: "delivery", value: { conversation: ALL, seq: BigInt(i + 1), everyone: true } },
    }),
  );
  await Promise.all(items.map((item) => route.take(target, item)));
  // One page and an empty one.
  expect([lists, texts().length]).toEqual([2, 30 * 48]);
});

test("who is not joined to the conversation of all is not read its past", async () => {
  await say(ALL, 1, "before", "there was", "anyone");
  await connect(2);
  await store.cursors.leave(2, "");
  expect([await route.take(target, push(ALL, 3, 2)), pushes]).toEqual(["taken", []]);
});

test("who moved to another server is not read to on the old one", async () => {
  await connect(2, other);
  await say(p2p(1, 2), 1, "1");
  expect([await route.take(target, push(p2p(1, 2), 1, 2)), pushes]).toEqual(["taken", []]);
});

test("a server that is gone is said to be, another start of it too", async () => {
  leases.leave(target.address, target.bootId);
  leases.announce({ ...server, bootId: v2BootId("another") });
  expect(await route.take(target, push(p2p(1, 2), 1, 2))).toBe("gone");
});

test("a client gets the time to connect after its login, unless it asks for something", async () => {
  const since = now - CONNECT_MS + 5;
  await connect(2, server, since);
  await connect(3, server, since);
  await say(p2p(1, 2), 1, "waits");
  await say(p2p(1, 3), 1, "does not wait");
  const pushed = route.take(target, push(p2p(1, 2), 1, 2));
  await route.take(target, catchUp(3));
  await until("who asked is read to", () => pushes.length > 0);
  const before = texts();
  now = since + CONNECT_MS;
  expect([before, await pushed, texts()]).toEqual([["does not wait"], "taken", ["does not wait", "waits"]]);
});

function openRoute(patienceMs = 20_000): V2Servers {
  const link = new Link("route", new Tokens("a secret of both"), async (request) => {
    expect([request.headers.get("authorization"), new URL(request.url).pathname]).toEqual([null, "/sendMsg"]);
    const given = (await request.json()) as V2Push;
    pushes.push(given);
    return answer(given);
  });
  const servers = new Servers({ directory: leases, link, pick: "random", logger: silent });
  const { sessions, log, cursors, locks } = store;
  const reader = new V2Reader({ servers, sessions, log, cursors, locks, patienceMs, now: () => now });
  const v2 = new V2Servers({ servers, sessions, reader, logger: silent, againMs: 10 });
  routes.push({ servers, v2 });
  return v2;
}

/** A session, claimed long ago. */
async function connect(userId: number, on = server, since = now - 60_000): Promise<void> {
  const place = { server: addressOf(on), bootId: on.bootId, slot: "", device: "default" };
  await store.cursors.join(userId, "");
  await store.sessions.put(
    { userId, userName: `user ${userId}`, sessionId: `s-${userId}`, ...place, confirmed: false, since },
    null,
  );
}

let ids = 0;

async function say(conversation: string, senderId: number, ...said: string[]): Promise<void> {
  await store.log.append(
    said.map((value) => {
      const message = { conversation, senderId, senderName: `user ${senderId}` };
      const bytes = encoded({ ...message, content: { case: "text", value } });
      return { conversation, senderId, messageId: `m-${++ids}`, at: Date.now(), bytes };
    }),
  );
}

function push(conversation: string, seq: number, ...userIds: number[]) {
  const value = { conversation, seq: BigInt(seq), userIds: userIds.map(BigInt) };
  return item({ case: "delivery", value });
}

function catchUp(userId: number) {
  return item({ case: "catchUp", value: { userId: BigInt(userId) } });
}

function item(body: MessageInitShape<typeof DownlinkItemSchema>["body"]) {
  return create(DownlinkItemSchema, { body } as MessageInitShape<typeof DownlinkItemSchema>);
}

function cursor(userId: number, conversation: string): Promise<number> {
  return store.cursors.cursor(userId, "", conversation);
}

function texts(): string[] {
  return pushes.flatMap(({ msg, batchMsg }) => batchMsg ?? [msg!]);
}

function shown(): string[] {
  return pushes.map(({ userId, cmd, msg, batchMsg, properties }) => {
    return `${userId} ← ${properties.sendUserId} ${cmd} ${batchMsg ?? msg}`;
  });
}

function instance(n: number): ServerInstance {
  const bootId = v2BootId(String(n));
  return {
    host: `10.0.0.${n}`,
    port: 11211,
    httpPort: 8081,
    bootId,
    tls: false,
    version: "",
    connections: 0,
    full: false,
  };
}
