import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { openRedis } from "../../../route/store/redis.ts";
import { SHARDS, shardOf } from "../../../route/store/redis-keys.ts";
import type { Session } from "../../../route/store/sessions.ts";
import type { Store } from "../../../route/store/store.ts";
import { REPOSITORY } from "../../support/process.ts";
import { type RedisServer, redisMissing, startRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";

// Real processes are started, killed and waited for.
setDefaultTimeout(20 * 1000);

const silent = { debug() {}, info() {}, warn() {}, error() {} };

test("a conversation's shard is always the same: it is part of the keys", () => {
  // The first three are test vectors of FNV-1a.
  expect(["", "a", "foobar", "all", "p2p:1:2", "张三"].map(shardOf)).toEqual([
    0xc5, 0x2c, 0x68, 196, 184, 251,
  ]);
  const sizes = Array.from({ length: SHARDS }, () => 0);
  for (let i = 0; i < 25_600; i++) sizes[shardOf(`p2p:${i}:${i * 7 + 1}`)]!++;
  expect([Math.min(...sizes) > 50, Math.max(...sizes) < 170]).toEqual([true, true]);
});

describe.skipIf(redisMissing !== null)(
  redisMissing ? `keys in Redis (${redisMissing})` : "keys in Redis",
  () => {
    let redis: RedisServer;
    let store: Store;
    beforeAll(async () => {
      redis = await startRedis();
      store = await openRedis(redis.url, silent);
    });
    afterAll(async () => {
      await store.close();
      await redis[Symbol.asyncDispose]();
    });
    beforeEach(() => redis.ask("FLUSHALL"));

    const keys = async () => ((await redis.ask("KEYS", "*")) as string[]).sort((a, b) => (a < b ? -1 : 1));
    const shown = async (userId: number) => [
      await redis.ask("GET", `cim-route:${userId}`),
      await redis.ask("SISMEMBER", "login-status", userId),
    ];

    test("an account stands where CIM v2 looks for it", async () => {
      const { account } = await store.accounts.register("张三", "hash");
      expect(await redis.ask("GET", `cim-account:${account.userId}`)).toBe("张三");
    });

    test("an account that CIM v2 made is found by its id, and its id is not given again", async () => {
      await redis.ask("SET", "cim-account:1", "old");
      const { account } = await store.accounts.register("new", null);
      expect([account.userId, await store.accounts.byId(1)]).toEqual([
        2,
        { userId: 1, userName: "old", passwordHash: null },
      ]);
    });

    test("CIM v2 is shown where a user is, from login to logout", async () => {
      await store.sessions.put(session({ sessionId: "a", server: "10.0.0.1:11211:8081" }), null);
      const first = await shown(1);
      await store.sessions.put(session({ sessionId: "b", server: "10.0.0.2:11211:8081", since: 2 }), "a");
      const second = await shown(1);
      await store.sessions.remove(1, "", "a");
      const late = await shown(1);
      await store.sessions.remove(1, "", "b");
      expect([first, second, late, await shown(1)]).toEqual([
        ["10.0.0.1:11211:8081", 1],
        ["10.0.0.2:11211:8081", 1],
        ["10.0.0.2:11211:8081", 1],
        [null, 0],
      ]);
    });

    test("of several devices CIM v2 is shown the newest, and another when that leaves", async () => {
      await store.sessions.put(session({ slot: "phone", sessionId: "a", server: "a:1:2", since: 1 }), null);
      await store.sessions.put(session({ slot: "desk", sessionId: "b", server: "b:1:2", since: 2 }), null);
      const both = await shown(1);
      await store.sessions.remove(1, "desk", "b");
      expect([both, await shown(1)]).toEqual([
        ["b:1:2", 1],
        ["a:1:2", 1],
      ]);
    });

    test("what CIM v2 is shown is the truth in the end, however logins and ends of many routes mix", async () => {
      const routes = await Promise.all([1, 2, 3].map(() => openRedis(redis.url, silent)));
      const users = [1, 2, 3, 4];
      await Promise.all(
        users.flatMap((userId) =>
          routes.map(async ({ sessions }, route) => {
            for (let i = 0; i < 15; i++) {
              const holder = (await sessions.ofUsers([userId])).get(userId)?.[0];
              const next = session({ userId, sessionId: `${route}-${i}`, server: `${route}:${i}:1` });
              if ((await sessions.put(next, holder?.sessionId ?? null)) !== "done") continue;
              if (i % 2) await sessions.remove(userId, "", next.sessionId);
            }
          }),
        ),
      );
      const truth = await store.sessions.ofUsers(users);
      expect(await Promise.all(users.map(shown))).toEqual(
        users.map((userId) => {
          const server = truth.get(userId)?.[0]?.server ?? null;
          return [server, server === null ? 0 : 1];
        }),
      );
      for (const route of routes) await route.close();
    });

    test("a message that cannot be pushed keeps none of those accepted with it marked", async () => {
      const message = (conversation: string) => ({
        conversation,
        senderId: 1,
        messageId: "m",
        at: 5,
        bytes: new Uint8Array(10),
      });
      await store.log.append(["all", "p2p:1:2", "p2p:1:3"].map(message));
      const marks = async () => {
        const its = (await keys()).filter((key) => key.startsWith("cim:marks:"));
        return (await Promise.all(its.map((key) => redis.ask("ZRANGE", key, 0, -1, "WITHSCORES")))).flat(2);
      };
      expect(await marks()).toEqual(["all 1 1,p2p:1:2 1 1,p2p:1:3 1 1", "5"]);
      await store.log.pushed(["all", "p2p:1:3"].map((conversation) => ({ conversation, seq: 1 })));
      const other = await openRedis(redis.url, silent);
      await until("the other one stands alone", async () => {
        // As the sweep does every second.
        await store.log.unpushed(Date.now(), 10);
        return String(await marks()) === "p2p:1:2 1 1,5";
      });
      expect((await other.log.unpushed(Date.now(), 10)).map(({ conversation }) => conversation)).toEqual([
        "p2p:1:2",
      ]);
      await store.log.pushed([{ conversation: "p2p:1:2", seq: 1 }]);
      expect(await marks()).toEqual([]);
      await other.close();
    });

    test("what one route keeps of sessions is what another made of them since, and read from Redis only then", async () => {
      const other = await openRedis(redis.url, silent);
      const users = [1, 1001, ...Array.from({ length: 5000 }, (_, i) => 5001 + i)];
      const held = async () => {
        const commands = async () =>
          Number(/cmdstat_hvals:calls=(\d+)/.exec(String(await redis.ask("INFO", "commandstats")))?.[1] ?? 0);
        const before = await commands();
        const sessions = await store.sessions.ofUsers(users);
        return [
          Object.fromEntries(
            [...sessions].map(([userId, its]) => [userId, its.map(({ sessionId }) => sessionId)]),
          ),
          (await commands()) - before,
        ];
      };
      await redis.ask("CONFIG", "RESETSTAT");
      await other.sessions.put(session({ userId: 1, sessionId: "a" }), null);
      expect([await held(), await held()]).toEqual([
        [{ 1: ["a"] }, users.length],
        [{ 1: ["a"] }, 0],
      ]);
      await other.sessions.put(session({ userId: 7001, sessionId: "b" }), null);
      await other.sessions.put(session({ userId: 1, sessionId: "a", confirmed: true }), "a");
      // 1; 1001, 5001, 6001 … 9001.
      expect(await held()).toEqual([{ 1: ["a"], 7001: ["b"] }, 1 + 6]);
      expect((await store.sessions.ofUsers([1])).get(1)).toEqual([
        session({ userId: 1, sessionId: "a", confirmed: true }),
      ]);
      await other.sessions.remove(1, "", "a");
      expect((await held())[0]).toEqual({ 7001: ["b"] });
      await other.close();
    });

    test("what retention and leaving leave behind are counters, members' lists, and nothing else", async () => {
      const drafts = Array.from({ length: 300 }, (_, i) => ({
        conversation: i % 3 ? "p2p:1:2" : "all",
        senderId: 1,
        messageId: `m${i}`,
        at: i,
        bytes: new Uint8Array(10),
      }));
      await store.log.append(drafts);
      await store.cursors.join(1, "");
      await store.cursors.join(2, "phone");
      await store.cursors.ack([
        { userId: 1, slot: "", conversation: "all", seq: 5 },
        { userId: 2, slot: "phone", conversation: "p2p:1:2", seq: 7 },
      ]);
      await store.sessions.put(session({}), null);
      await store.sessions.remove(1, "", "session");
      await store.sessions.revoke("session", Date.now() + 60_000);
      await store.sessions.signOut(1, null, Date.now() + 60_000);
      await store.throttle.take("a", 3, 60_000);
      while ((await store.log.trim(1000, 100)) > 0);
      await store.cursors.trim(Date.now() + 1000);
      const left = await keys();
      const expiring = left.filter((key) => /^cim:(revoked|signout|throttle):/.test(key));
      expect(left.filter((key) => !expiring.includes(key))).toEqual([
        "cim:changes:{u0}",
        "cim:heads:{c184}",
        "cim:heads:{c196}",
        "cim:talks:{u1}:1",
        "cim:talks:{u2}:2",
      ]);
      for (const key of expiring) expect(await redis.ask("PTTL", key)).toBeGreaterThan(0);
      expect(expiring.length).toBe(3);
    });

    test("retention looks at a conversation again when its oldest message is due", async () => {
      const drafts = [10, 20, 30].map((at) => ({
        conversation: "all",
        senderId: 1,
        messageId: `m${at}`,
        at,
        bytes: new Uint8Array(),
      }));
      await store.log.append(drafts);
      await store.log.trim(15, 100);
      const due = await redis.ask("ZSCORE", `cim:oldest:{c${shardOf("all")}}`, "all");
      expect(Number(due)).toBe(20);
    });

    test("what is counted of someone who never pauses stays within the limit", async () => {
      await store.throttle.take("a", 3, 60_000);
      const [key] = (await keys()).filter((key) => key.startsWith("cim:throttle:"));
      // Events long before the window.
      await redis.ask("LPUSH", key!, 1, 1, 1, 1, 1);
      expect([await store.throttle.take("a", 3, 60_000), await redis.ask("LLEN", key!)]).toEqual([0, 3]);
    });

    test("whether sessions were revoked is asked once for all requests of a turn", async () => {
      await store.sessions.revoke("two", Date.now() + 60_000);
      await redis.ask("CONFIG", "RESETSTAT");
      const answers = ["one", "two", "three"].map(async (sessionId, request) => {
        // Each request is an event of its own.
        for (let i = 0; i < 10 * request; i++) await Promise.resolve();
        return store.sessions.isRevoked({ userId: request, sessionId });
      });
      expect(await Promise.all(answers)).toEqual([false, true, false]);
      expect(await redis.ask("INFO", "commandstats")).toContain("cmdstat_mget:calls=1,");
    });

    test("no name or text a user chooses becomes part of a key", async () => {
      const evil = "evil{u1}\n*";
      const { account } = await store.accounts.register(evil, evil);
      const { userId } = account;
      await store.sessions.put(session({ userId, userName: evil, slot: evil, device: evil }), null);
      await store.cursors.join(userId, evil);
      await store.log.append([
        {
          conversation: "all",
          senderId: userId,
          messageId: evil,
          at: 1,
          bytes: new TextEncoder().encode(evil),
        },
      ]);
      await store.cursors.ack([{ userId, slot: evil, conversation: "all", seq: 1 }]);
      await store.throttle.take(evil, 1, 1000);
      expect((await keys()).filter((key) => key.includes("evil"))).toEqual([]);
    });

    test("every key is documented, and every documented key is there", async () => {
      const { account } = await store.accounts.register("zhangsan", "hash");
      const { userId } = account;
      await store.sessions.put(session({ userId }), null);
      await store.sessions.revoke("gone", Date.now() + 60_000);
      await store.sessions.signOut(userId, null, Date.now() + 60_000);
      await store.cursors.join(userId, "");
      await store.log.append([
        {
          conversation: `p2p:${userId}:77`,
          senderId: userId,
          messageId: "a",
          at: 1,
          bytes: new Uint8Array(),
        },
      ]);
      await store.cursors.ack([{ userId, slot: "", conversation: `p2p:${userId}:77`, seq: 1 }]);
      await store.throttle.take("a", 1, 1000);
      await store.locks.take(`v2:${userId}`, "holder", 1000);
      await redis.ask("SET", "cim:version", 1);
      await redis.ask("SET", "cim:probe", 1);
      const forms = (await keys()).map((key) =>
        key
          .replace(/^(cim:log:).*/, "$1{c<shard>}:<conversation>")
          .replace(/^(cim:throttle:).*/, "$1<digest>")
          .replace(/^(cim:revoked:).*/, "$1<sessionId>")
          .replace(/\{([cnu])\d+\}/, "{$1<shard>}")
          .replace(/:\d+$/, ":<userId>"),
      );
      const page = await Bun.file(join(REPOSITORY, "docs/redis-keys.md")).text();
      const documented = [...page.matchAll(/^\| `([^`]+)`/gm)].map(([, key]) => key!);
      expect(new Set(documented)).toEqual(new Set(forms));
    });
  },
);

function session(fields: Partial<Session>): Session {
  return {
    userId: 1,
    userName: "zhangsan",
    sessionId: "session",
    slot: "",
    device: "",
    server: "10.0.0.1:11211:8081",
    bootId: "boot",
    confirmed: false,
    since: 1,
    ...fields,
  };
}
