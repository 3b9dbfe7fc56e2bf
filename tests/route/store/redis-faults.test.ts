import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Draft } from "../../../route/store/log.ts";
import { openRedis } from "../../../route/store/redis.ts";
import { headsKey, shardOf } from "../../../route/store/redis-keys.ts";
import type { Store } from "../../../route/store/store.ts";
import { REPOSITORY } from "../../support/process.ts";
import {
  type RedisGroup,
  redisMissing,
  startCluster,
  startRedisWith,
  startSentinel,
} from "../../support/redis.ts";
import { until } from "../../support/until.ts";

// Real processes are started, killed and waited for.
setDefaultTimeout(20 * 1000);

const CONFIGURATION = join(REPOSITORY, "deploy/redis.conf");
/** What a caller may have to wait for a refusal: a command's time-out, and the one of the pipeline before it. */
const BOUND_MS = 5 * 1000;

const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe.skipIf(redisMissing !== null)(
  redisMissing ? `faults of Redis (${redisMissing})` : "faults of Redis",
  () => {
    test("with the shipped configuration an accepted message survives kill -9 of Redis, and seqs go on", async () => {
      await using redis = await startRedisWith(CONFIGURATION);
      const store = await openRedis(redis.url, silent);
      const conversations = ["all", "p2p:1:2", "p2p:3:4"];
      const accepted = new Map<string, number>();
      const senders = Array.from({ length: 8 }, async (_, sender) => {
        for (let i = 0; ; i++) {
          const drafts = conversations.map((conversation) => draft(conversation, `${sender}-${i}`));
          const places = await store.log.append(drafts).catch(() => null);
          if (places === null) return;
          for (const [j, { seq }] of places.entries())
            accepted.set(`${conversations[j]} ${sender}-${i}`, seq);
        }
      });
      await until("some hundred messages are accepted", () => accepted.size > 600);
      await redis.kill();
      await Promise.all(senders);
      await redis.start();
      await until("redis is found again", () => store.log.head("all"));
      const again = await Promise.all(
        [...accepted].map(async ([key, seq]) => {
          const [conversation, messageId] = key.split(" ") as [string, string];
          const [place] = await store.log.append([draft(conversation, messageId)]);
          return place!.retry && place!.seq === seq;
        }),
      );
      expect(again.every(Boolean)).toBe(true);
      for (const conversation of conversations) {
        const { head, messages } = await store.log.read(conversation, 0, { messages: 1e6, bytes: Infinity });
        expect(messages.map(({ seq }) => seq)).toEqual(Array.from({ length: head }, (_, i) => i + 1));
      }
      await store.close();
    });

    test("while Redis is away every call fails at once and says so; when it is back all goes on", async () => {
      await using redis = await startRedisWith(CONFIGURATION);
      const store = await openRedis(redis.url, silent);
      await store.log.append([draft("all", "a")]);
      await redis.kill();
      const failures = await until("calls fail", async () => {
        const failures = await Promise.all(
          callsOf(store).map((call) =>
            call().then(
              () => null,
              (error) => error,
            ),
          ),
        );
        return failures.includes(null) ? null : failures;
      });
      for (const failure of failures) expect(failure).toMatchObject({ name: "CimError", status: "FALLBACK" });
      for (const failure of failures) expect(failure.message).toStartWith(`redis ${redis.host}: `);
      expect(store.trouble()).toStartWith(`redis ${redis.host}: `);
      await redis.start();
      await until("no trouble", () => store.trouble() === null);
      expect(await store.log.append([draft("all", "a"), draft("all", "b")])).toEqual([
        { seq: 1, at: 1, retry: true },
        { seq: 2, at: 1, retry: false },
      ]);
      await store.close();
    });

    test("a Redis that hangs is not waited for; what it did after all, it did once", async () => {
      await using redis = await startRedisWith(CONFIGURATION);
      const store = await openRedis(redis.url, silent);
      await store.log.append([draft("all", "a")]);
      redis.pause();
      const start = performance.now();
      const failure = await store.log.append([draft("all", "b")]).catch((error) => error);
      expect(failure).toMatchObject({
        status: "FALLBACK",
        message: `redis ${redis.host}: Command timed out`,
      });
      expect(performance.now() - start).toBeLessThan(BOUND_MS);
      expect(store.trouble()).toBe(`redis ${redis.host}: Command timed out`);
      redis.resume();
      await until("no trouble", () => store.trouble() === null);
      const [place] = await store.log.append([draft("all", "b")]);
      expect([place!.seq, await store.log.head("all")]).toEqual([2, 2]);
      await store.close();
    });

    test("a connection that the network forgot is given up for a new one", async () => {
      await using redis = await startRedisWith(CONFIGURATION);
      const sockets: Socket[] = [];
      const network = createServer((near) => {
        const far = connect(redis.port, "127.0.0.1");
        near.pipe(far).pipe(near);
        for (const socket of [near, far]) socket.on("error", () => undefined);
        sockets.push(near, far);
      });
      await new Promise<void>((resolve) => network.listen(0, "127.0.0.1", resolve));
      const { port } = network.address() as AddressInfo;
      const store = await openRedis(`redis://127.0.0.1:${port}`, silent);
      await store.log.append([draft("all", "a")]);
      for (const socket of sockets) socket.unpipe().pause();
      expect(await store.log.head("all").catch((error) => error)).toMatchObject({ status: "FALLBACK" });
      expect(await until("it answers over a new one", () => store.log.head("all"))).toBe(1);
      await store.close();
      for (const socket of sockets) socket.destroy();
      network.close();
    });

    test("scripts that Redis forgot are sent again", async () => {
      await using redis = await startRedisWith(CONFIGURATION);
      const store = await openRedis(redis.url, silent);
      await store.log.append([draft("all", "a")]);
      await redis.ask("SCRIPT", "FLUSH");
      const places = await Promise.all(["b", "c", "d"].map((id) => store.log.append([draft("all", id)])));
      expect(places.flat().map(({ seq }) => seq)).toEqual([2, 3, 4]);
      await store.close();
    });

    test("a Redis that is full refuses messages whole, and takes them when it has room again", async () => {
      await using redis = await startRedisWith(CONFIGURATION);
      const store = await openRedis(redis.url, silent);
      await store.log.append([draft("all", "a")]);
      await redis.ask("CONFIG", "SET", "maxmemory", "1mb");
      const drafts = [draft("all", "b"), draft("p2p:1:2", "b")];
      const refusal = await store.log.append(drafts).catch((error) => error);
      expect(refusal.status).toBe("FALLBACK");
      expect(refusal.message).toStartWith(`redis ${redis.host}: OOM `);
      expect([await store.log.head("all"), await store.log.head("p2p:1:2")]).toEqual([1, 0]);
      expect(store.trouble()).toBe(refusal.message);
      await redis.ask("CONFIG", "SET", "maxmemory", "0");
      await until("no trouble", () => store.trouble() === null);
      expect((await store.log.append(drafts)).map(({ seq, retry }) => [seq, retry])).toEqual([
        [2, false],
        [1, false],
      ]);
      await store.close();
    });

    describe("a Sentinel", () => {
      let group: RedisGroup;
      beforeAll(async () => {
        group = await startSentinel();
      });
      afterAll(() => group[Symbol.asyncDispose]());

      test("makes the replica the master, and the log goes on there", async () => {
        const store = await openRedis(group.url, silent);
        await store.log.append([draft("all", "a"), draft("all", "b")]);
        const [master, replica] = group.servers;
        await until(
          "the replica has it all",
          async () => (await replica!.ask("HGET", headsKey(shardOf("all")), "all")) === "2",
        );
        await master!.kill();
        const places = await until(
          "the new master takes messages",
          () => store.log.append([draft("all", "b"), draft("all", "c")]),
          15_000,
        );
        expect([
          places.map(({ seq, retry }) => [seq, retry]),
          await replica!.isMaster(),
          store.trouble(),
        ]).toEqual([
          [
            [2, true],
            [3, false],
          ],
          true,
          null,
        ]);
        await store.close();
      });
    });

    describe("a Cluster", () => {
      let group: RedisGroup;
      beforeAll(async () => {
        group = await startCluster({ appendonly: "yes", appendfsync: "always" });
      });
      afterAll(() => group[Symbol.asyncDispose]());

      test("fails in bounded time without one of its nodes, and goes on when that is back", async () => {
        const store = await openRedis(group.url, silent);
        const conversations = Array.from({ length: 60 }, (_, i) => `p2p:${i + 1}:${i + 100}`);
        const say = (messageId: string) =>
          Promise.allSettled(conversations.map((name) => store.log.append([draft(name, messageId)])));
        expect((await say("a")).every(({ status }) => status === "fulfilled")).toBe(true);
        await group.servers[1]!.kill();
        const start = performance.now();
        const during = await say("b");
        expect(performance.now() - start).toBeLessThan(BOUND_MS);
        const failures = during.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
        expect(failures.length).toBeGreaterThan(0);
        for (const failure of failures)
          expect(failure).toMatchObject({ name: "CimError", status: "FALLBACK" });
        await group.servers[1]!.start();
        await until(
          "all messages are taken",
          async () => (await say("b")).every(({ status }) => status === "fulfilled"),
          15_000,
        );
        expect(await Promise.all(conversations.map((name) => store.log.head(name)))).toEqual(
          conversations.map(() => 2),
        );
        await store.close();
      });
    });
  },
);

function draft(conversation: string, messageId: string): Draft {
  return { conversation, senderId: 1, messageId, at: 1, bytes: new Uint8Array(100) };
}

function callsOf(store: Store): (() => Promise<unknown>)[] {
  return [
    () => store.accounts.register("zhangsan", null),
    () => store.accounts.byId(1),
    () => store.accounts.byName("zhangsan"),
    () => store.sessions.ofUsers([1, 2]),
    () => store.sessions.remove(1, "", "s"),
    () => store.sessions.list(0, 10),
    () => store.sessions.revoke("s", Date.now() + 1000),
    () => store.sessions.isRevoked({ userId: 1, sessionId: "s" }),
    () => store.log.append([draft("all", "x")]),
    () => store.log.read("all", 0, { messages: 1, bytes: 1 }),
    () => store.log.history("all", 5, { messages: 1, bytes: 1 }),
    () => store.log.head("all"),
    () => store.log.unpushed(1, 1),
    () => store.log.pushed([{ conversation: "all", seq: 1 }]),
    () => store.log.trim(1, 1),
    () => store.cursors.join(1, ""),
    () => store.cursors.leave(1, ""),
    () => store.cursors.ack([{ userId: 1, slot: "", conversation: "all", seq: 1 }]),
    () => store.cursors.cursor(1, "", "all"),
    () => store.cursors.unread(1, "", "", 1),
    () => store.cursors.trim(1),
    () => store.throttle.take("a", 1, 1),
    () => store.throttle.giveBack("a"),
  ];
}
