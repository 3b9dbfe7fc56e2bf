/** From older versions of the keys (docs/redis-keys.md) to this one, while no route of an older version runs. */
import type { RedisClient } from "./redis-client.ts";
import { ALL_SHARDS, headsKey, retriesKey } from "./redis-keys.ts";

/** Fields that are moved at a time. */
const STEP = 1000;

/**
 * Version 1 kept the retries of each conversation in a key of their own; 2 keeps those of a shard together. May break
 * off anywhere, and may be done by several routes at once: what was moved is moved again, to the same place.
 */
export async function migrateFromVersion1(client: RedisClient): Promise<void> {
  for (const shard of ALL_SHARDS) {
    for await (const heads of pages(client, headsKey(shard))) {
      for (const [conversation] of heads) {
        const old = `${retriesKey(shard)}:${conversation}`;
        for await (const retries of pages(client, old)) {
          const moved = retries.flatMap(([retry, seq]) => [`${conversation} ${retry}`, seq]);
          await client.run((redis) => redis.hset(retriesKey(shard), ...moved));
        }
        await client.run((redis) => redis.unlink(old));
      }
    }
  }
}

/** The fields of a hash and their values, some at a time, none of these empty. */
async function* pages(client: RedisClient, key: string): AsyncGenerator<[field: string, value: string][]> {
  let cursor = "0";
  do {
    const [next, found] = await client.run((redis) => redis.hscan(key, cursor, "COUNT", STEP));
    const page = Array.from({ length: found.length / 2 }, (_, i): [string, string] => [
      found[2 * i]!,
      found[2 * i + 1]!,
    ]);
    if (page.length > 0) yield page;
    cursor = next;
  } while (cursor !== "0");
}
