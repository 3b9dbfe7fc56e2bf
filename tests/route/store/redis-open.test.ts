import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ConfigError } from "../../../common/config.ts";
import { openRedis } from "../../../route/store/redis.ts";
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
      await redis.ask("SET", "cim:version", 2);
      expect(await refusal(redis.url)).toBe(
        `CIM_STORE=${redis.url}: has keys of version 2, this CIM knows 1: start a newer CIM, or name another Redis`,
      );
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
