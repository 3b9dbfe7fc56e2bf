/**
 * What operations cost with a million accounts, ten thousand of them online, is what they cost with a handful: counted
 * in what Redis ran and in internal calls. CIM_TEST_ACCOUNTS sets another number than a million.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Redis } from "ioredis";
import type { Client } from "../../client/sdk/client.ts";
import { addressOf } from "../../common/registry/registry.ts";
import { p2p } from "../../proto/conversation.ts";
import {
  accountKey,
  cursorsKey,
  LOGIN_STATUS,
  marksKey,
  NEXT_USER_ID,
  namesKey,
  onlineKey,
  routeKey,
  SHARDS,
  sessionsKey,
  shardOf,
} from "../../route/store/redis-keys.ts";
import { Reader } from "../support/chat.ts";
import { type Cost, Counted } from "../support/counted.ts";
import { type RedisServer, redisMissing, startRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(180_000);

const ACCOUNTS = Number(process.env.CIM_TEST_ACCOUNTS || 1_000_000);
const ONLINE = 10_000;
/** Online at first: enough for a page that is not the last. */
const FEW = 16;
const PAGE = 5;
/** Keys or fields in one command of the filling. */
const BATCH = 500;

type Operation = "a page" | "a later page" | "login" | "p2p over HTTP" | "p2p over a connection";
type Costs = Record<Operation, Cost>;

let redis: RedisServer;
let counted: Counted;
let alice: Client;
let bob: Client;
let reader: Reader;
/** Accounts that have not logged in yet. */
const newcomers: string[] = [];
/** Who posts over HTTP: one of those. */
const POSTER = 3;
/** How much was said to bob in each conversation. */
const said = new Map<string, number>();

beforeAll(async () => {
  if (redisMissing) return;
  redis = await startRedis();
  counted = await Counted.open(redis);
  alice = await counted.client("alice");
  bob = await counted.client("bob");
  reader = new Reader(bob);
  for (let i = 1; i <= 6; i++) {
    const { userName } = await counted.post<{ userName: string }>("/registerAccount", {
      userName: `new-${i}`,
    });
    newcomers.push(userName);
  }
});

afterAll(async () => {
  await alice?.close();
  await bob?.close();
  await counted?.[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
});

/** Adds accounts as docs/redis-keys.md says they are kept, up to `to`; each `onlineEvery`th of them with a session. */
async function fill(to: number, onlineEvery: number): Promise<void> {
  const client = new Redis({ host: "127.0.0.1", port: redis.port });
  const underWay: Promise<unknown>[] = [];
  const send = async (command: string, ...args: (string | number)[]) => {
    underWay.push(client.call(command, ...args));
    if (underWay.length >= 100) await Promise.all(underWay.splice(0));
  };
  const from = Number(await client.get(NEXT_USER_ID)) + 1;
  const accounts: (string | number)[] = [];
  const names = new Map<string, (string | number)[]>();
  for (let userId = from; userId <= to; userId++) {
    const userName = `user-${userId}`;
    accounts.push(accountKey(userId), userName);
    if (accounts.length >= 2 * BATCH) await send("MSET", ...accounts.splice(0));
    const key = namesKey(userName);
    const fields = names.get(key) ?? [];
    names.set(key, fields);
    fields.push(userName, userId);
    if (fields.length >= 2 * BATCH) await send("HSET", key, ...fields.splice(0));
    if (userId % onlineEvery === 0) await online(userId, userName, send);
  }
  if (accounts.length > 0) await send("MSET", ...accounts);
  for (const [key, fields] of names) if (fields.length > 0) await send("HSET", key, ...fields);
  await send("SET", NEXT_USER_ID, to);
  await Promise.all(underWay);
  client.disconnect();
}

type Send = (command: string, ...args: (string | number)[]) => Promise<void>;

async function online(userId: number, userName: string, send: Send): Promise<void> {
  const instance = counted.server.instance();
  const server = addressOf(instance);
  const session = {
    userId,
    userName,
    sessionId: `session-${userId}`,
    slot: "",
    device: "default",
    server,
    bootId: instance.bootId,
    confirmed: true,
    since: Date.now(),
  };
  await send("HSET", sessionsKey(userId), "", JSON.stringify(session));
  await send("ZADD", onlineKey(userId % SHARDS), userId, userId);
  await send("SET", routeKey(userId), server);
  await send("SADD", LOGIN_STATUS, userId);
}

/** @param pages the userIds after which they begin */
async function measure(pages: [number, number]): Promise<Costs> {
  const page = (after: number) => async () => {
    const users = await counted.get<unknown[]>(`/onlineUser?limit=${PAGE}&after=${after}`);
    expect(users).toHaveLength(PAGE);
  };
  const login = () => counted.post("/login", { userName: newcomers.pop() });
  const post = async () => {
    await counted.post("/p2pRoute", { userId: POSTER, receiveUserId: bob.userId, msg: "over HTTP" });
    await pushed(POSTER);
    await acknowledged();
  };
  const send = async () => {
    await alice.sendTo(bob.userId, "over a connection");
    await pushed(alice.userId);
    await acknowledged();
  };
  // Once before it is counted: scripts are loaded, conversations begun, servers found to be there.
  for (const operation of [page(pages[0]), login, post, send]) await operation();
  return {
    "a page": await counted.cost(page(pages[0])),
    "a later page": await counted.cost(page(pages[1])),
    login: await counted.cost(login),
    "p2p over HTTP": await counted.cost(post),
    "p2p over a connection": await counted.cost(send),
  };
}

/** Resolves once bob has read the sender's next message, and nothing of it is left to be pushed. */
async function pushed(sender: number): Promise<void> {
  const conversation = p2p(sender, bob.userId);
  said.set(conversation, (said.get(conversation) ?? 0) + 1);
  await reader.count([...said.values()].reduce((sum, count) => sum + count));
  const marks = marksKey(shardOf(conversation));
  await until("nothing is left to be pushed", async () => (await redis.ask("ZCARD", marks)) === 0);
}

/** Resolves once all who are connected have acknowledged all of their conversations. */
async function acknowledged(): Promise<void> {
  for (const [conversation, count] of said) {
    for (const { userId } of [alice, bob]) {
      if (!conversation.split(":").includes(String(userId))) continue;
      await until(`user ${userId} has acknowledged ${count} of ${conversation}`, async () => {
        const [, fields] = (await redis.ask("HSCAN", cursorsKey(userId), 0)) as [string, string[]];
        return fields[fields.indexOf(`${conversation} `) + 1] === String(count);
      });
    }
  }
}

describe.skipIf(redisMissing !== null)(
  redisMissing ?? `with ${ACCOUNTS} accounts and ${ONLINE} online as with ${FEW}`,
  () => {
    let few: Costs;
    let many: Costs;

    beforeAll(async () => {
      await fill(FEW + newcomers.length, 1);
      // Behind those who log in below: a claim that no connection followed is read, and is nobody online.
      const first = 2 + newcomers.length;
      few = await measure([first, first + PAGE]);
      await fill(ACCOUNTS, Math.ceil(ACCOUNTS / ONLINE));
      many = await measure([first, ACCOUNTS / 2]);
    });

    test("all are there", async () => {
      const [accounts, sessions] = await Promise.all([
        redis.ask("GET", NEXT_USER_ID),
        redis.ask("SCARD", LOGIN_STATUS),
      ]);
      expect([accounts, Number(sessions) >= ONLINE * 0.99]).toEqual([String(ACCOUNTS), true]);
    });

    for (const operation of [
      "a page",
      "a later page",
      "login",
      "p2p over HTTP",
      "p2p over a connection",
    ] as const) {
      test(`${operation} costs the same commands and calls`, () => {
        expect(many[operation]).toEqual(few[operation]);
      });
    }

    test("none of them searches, and a message is one call to the receiver's server", () => {
      const searching = Object.values(many).flatMap(({ commands }) =>
        Object.keys(commands).filter((command) => /^(scan|keys|smembers|hgetall|sscan|sort)$/.test(command)),
      );
      const calls = Object.fromEntries(Object.entries(many).map(([name, cost]) => [name, cost.calls]));
      expect([searching, calls]).toEqual([
        [],
        {
          "a page": {},
          "a later page": {},
          login: {},
          // The receiver's acknowledgement; over a connection what is sent, too, and that its sender has it.
          "p2p over HTTP": { "/internal/downlink": 1, "/internal/uplink": 1 },
          "p2p over a connection": { "/internal/downlink": 1, "/internal/uplink": 3 },
        },
      ]);
    });
  },
);
