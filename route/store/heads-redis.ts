import { type RedisClient, script } from "./redis-client.ts";
import { headsKey, logKey, shardOf } from "./redis-keys.ts";

export interface Head {
  /** The highest seq there is. */
  head: number;
  /** Messages that are kept: those up to head - kept were trimmed. */
  kept: number;
}

const HEADS = script(`
local answer = {}
for i, name in ipairs(ARGV) do
  answer[2 * i - 1] = tonumber(redis.call('HGET', KEYS[2 * i - 1], name) or 0)
  answer[2 * i] = redis.call('LLEN', KEYS[2 * i])
end
return answer
`);

/** Where these conversations stand. */
export async function headsOf(client: RedisClient, names: readonly string[]): Promise<Map<string, Head>> {
  const heads = new Map<string, Head>();
  await Promise.all(
    client.together(names, shardOf).map(async (its) => {
      const keys = its.flatMap((name) => [headsKey(shardOf(name)), logKey(name)]);
      const answer = await client.script<number[]>(HEADS, keys, its);
      for (const [i, name] of its.entries())
        heads.set(name, { head: answer[2 * i]!, kept: answer[2 * i + 1]! });
    }),
  );
  return heads;
}
