import { type RedisClient, script } from "./redis-client.ts";
import { byShard, headsKey, logKey, shardOf } from "./redis-keys.ts";

export interface Head {
  /** The highest seq there is. */
  head: number;
  /** Messages that are kept: those up to head - kept were trimmed. */
  kept: number;
}

const HEADS = script(`
local answer = {}
for i = 2, #KEYS do
  answer[2 * i - 3] = tonumber(redis.call('HGET', KEYS[1], ARGV[i - 1]) or 0)
  answer[2 * i - 2] = redis.call('LLEN', KEYS[i])
end
return answer
`);

/** Where these conversations stand; one call for each shard among them. */
export async function headsOf(client: RedisClient, names: readonly string[]): Promise<Map<string, Head>> {
  const heads = new Map<string, Head>();
  await Promise.all(
    [...byShard(names, shardOf)].map(async ([shard, its]) => {
      const answer = await client.script<number[]>(HEADS, [headsKey(shard), ...its.map(logKey)], its);
      for (const [i, name] of its.entries())
        heads.set(name, { head: answer[2 * i]!, kept: answer[2 * i + 1]! });
    }),
  );
  return heads;
}
