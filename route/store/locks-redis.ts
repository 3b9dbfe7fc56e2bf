import type { Locks } from "./locks.ts";
import { type RedisClient, script } from "./redis-client.ts";
import { lockKey } from "./redis-keys.ts";

const TAKE = script(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`);

const RELEASE = script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
`);

export function redisLocks(client: RedisClient): Locks {
  return {
    take: async (name, holder, ms) =>
      (await client.script<number>(TAKE, [lockKey(name)], [holder, Math.ceil(ms)])) === 1,
    release: async (name, holder) => {
      await client.script<number>(RELEASE, [lockKey(name)], [holder]);
    },
  };
}
