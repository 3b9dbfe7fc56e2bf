import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { tracingChannel } from "node:diagnostics_channel";
import { ConfigError } from "../../../common/config.ts";
import type { Draft } from "../../../route/store/log.ts";
import { openRedis } from "../../../route/store/redis.ts";
import { marksKey, retriesKey, shardOf } from "../../../route/store/redis-keys.ts";
import { freePorts } from "../../support/ports.ts";
import { redisMissing, startRedis } from "../../support/redis.ts";

// Real processes are started, killed and waited for.
setDefaultTimeout(20 * 1000);

const QUICK_MS = 500;

interface Line {
  fields: object;
  text: string;
}

describe.skipIf(redisMissing !== null)(
  redisMissing ? `opening Redis (${redisMissing})` : "opening Redis",
  () => {
    const lines: Line[] = [];
    const log = {
      debug() {},
      info() {},
      error() {},
      warn: (fields: object, text: string) => void lines.push({ fields, text }),
    };

    async function refusal(url: string): Promise<string> {
      const error = await openRedis(url, log, QUICK_MS).then(
        () => new Error("it opened"),
        (error: Error) => error,
      );
      expect(error).toBeInstanceOf(ConfigError);
      return error.message;
    }

    test("a Redis that is not there is named, and why", async () => {
      const [port] = await freePorts(1);
      for (const url of [
        `redis://127.0.0.1:${port}`,
        `redis+sentinel://127.0.0.1:${port}/m`,
        `redis+cluster://127.0.0.1:${port}`,
      ]) {
        const said = await refusal(url);
        expect(said).toStartWith(`CIM_STORE=${url}: redis 127.0.0.1:${port}: `);
        expect(said).not.toContain("\n");
      }
    });

    test("a Redis that comes up a little later is waited for", async () => {
      await using redis = await startRedis();
      await redis.kill();
      const opening = openRedis(redis.url, log);
      await redis.start();
      const store = await opening;
      expect([await store.log.head("all"), store.trouble()]).toEqual([0, null]);
      await store.close();
    });

    test("a password opens, a wrong one is refused and not shown", async () => {
      await using redis = await startRedis({ requirepass: "s3cret/:@" });
      const url = (password: string) => `redis://:${encodeURIComponent(password)}@${redis.host}`;
      const said = await refusal(url("wrong-one"));
      expect(said).toStartWith(`CIM_STORE=${redis.url}: redis ${redis.host}: WRONGPASS`);
      expect(said).not.toContain("wrong-one");
      const store = await openRedis(url("s3cret/:@"), log);
      expect(await store.log.head("all")).toBe(0);
      await store.close();
    });

    test("each database of a Redis is a store of its own", async () => {
      await using redis = await startRedis();
      const [first, second] = await Promise.all([
        openRedis(redis.url, log),
        openRedis(`${redis.url}/3`, log),
      ]);
      await first.accounts.register("zhangsan", null);
      expect(await second.accounts.byName("zhangsan")).toBe(null);
      await first.close();
      await second.close();
    });

    test("keys of a newer CIM are left alone", async () => {
      await using redis = await startRedis();
      await redis.ask("SET", "cim:version", 4);
      expect(await refusal(redis.url)).toBe(
        `CIM_STORE=${redis.url}: has keys of version 4, this CIM knows 3: start a newer CIM, or name another Redis`,
      );
    });

    test("what an earlier version kept is brought up to date: a retry is known, and trimmed with its message", async () => {
      await using redis = await startRedis();
      const before = await openRedis(redis.url, log);
      const drafts = Array.from({ length: 1500 }, (_, i) => draft(`m${i}`));
      await before.log.append(drafts);
      await before.close();
      // As version 1 had it: a key for each conversation.
      const shard = retriesKey(shardOf("p2p:1:2"));
      const fields = drafts.flatMap(({ messageId }, i) => [`1:${messageId}`, i + 1]);
      await redis.ask("DEL", shard);
      await redis.ask("HSET", `${shard}:p2p:1:2`, ...fields);
      await redis.ask("SET", "cim:version", 1);

      const store = await openRedis(redis.url, log);
      expect(await store.log.append([draft("m1499"), draft("new"), draft("m0")])).toEqual([
        { seq: 1500, at: 1, retry: true },
        { seq: 1501, at: 1, retry: false },
        { seq: 1, at: 1, retry: true },
      ]);
      expect(await redis.ask("GET", "cim:version")).toBe("3");
      expect(await redis.ask("EXISTS", `${shard}:p2p:1:2`)).toBe(0);
      expect(await store.log.trim(2, 2000)).toBe(1501);
      expect(await redis.ask("EXISTS", shard)).toBe(0);
      await store.close();
    });

    test("what version 2 had marked is pushed, and its mark comes off", async () => {
      await using redis = await startRedis();
      const before = await openRedis(redis.url, log);
      await before.log.append([draft("m1"), draft("m2")]);
      await before.close();
      const marks = marksKey(shardOf("p2p:1:2"));
      await redis.ask("DEL", marks);
      // Of a run each, of equal width.
      for (const seq of [1, 2]) {
        const padded = String(seq).padStart(16, "0");
        await redis.ask("ZADD", marks, 1, `p2p:1:2 ${padded} ${padded}`);
      }
      await redis.ask("SET", "cim:version", 2);

      const store = await openRedis(redis.url, log);
      const unpushed = await store.log.unpushed(Date.now(), 10);
      expect(unpushed.map(({ seq }) => seq)).toEqual([1, 2]);
      await store.log.pushed(unpushed);
      expect([await redis.ask("EXISTS", marks), await redis.ask("GET", "cim:version")]).toEqual([0, "3"]);
      await store.close();
    });

    test("commands are described to whoever traces them, and to nobody else", async () => {
      await using redis = await startRedis();
      const store = await openRedis(redis.url, log);
      const channel = tracingChannel("ioredis:command");
      const before = channel.hasSubscribers;
      const seen: unknown[] = [];
      const start = (command: unknown) => void seen.push(command);
      channel.start.subscribe(start);
      await store.log.head("all");
      const during = channel.hasSubscribers;
      channel.start.unsubscribe(start);
      expect([before, during, channel.hasSubscribers, seen]).toEqual([
        false,
        true,
        false,
        [expect.objectContaining({ command: "hget" })],
      ]);
      await store.close();
    });

    test("it is said when Redis is not set up to keep what it accepted", async () => {
      await using redis = await startRedis({ maxmemory: "100mb", "maxmemory-policy": "allkeys-lru" });
      lines.length = 0;
      await (await openRedis(redis.url, log)).close();
      expect(lines).toEqual([
        {
          fields: { redis: redis.url },
          text: "redis keeps no append-only file: accepted messages are lost when it is killed",
        },
        {
          fields: { redis: redis.url, policy: "allkeys-lru" },
          text: "redis may forget accepted messages when it is full: want maxmemory-policy noeviction",
        },
      ]);
    });

    test("once closed, it says so to whoever still calls it, and may be closed again", async () => {
      await using redis = await startRedis();
      const store = await openRedis(redis.url, log);
      await store.close();
      await store.close();
      expect(await store.log.head("all").catch((error) => error)).toMatchObject({
        status: "FALLBACK",
        message: `redis ${redis.host} is closed`,
      });
    });
  },
);

function draft(messageId: string): Draft {
  return { conversation: "p2p:1:2", senderId: 1, messageId, at: 1, bytes: new Uint8Array([1]) };
}
