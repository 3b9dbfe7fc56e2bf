import { createHash } from "node:crypto";
import { type RedisClient, script } from "./redis-client.ts";
import { throttleKey } from "./redis-keys.ts";
import type { Throttle } from "./throttle.ts";

// Times of the last events in microseconds, by the one clock that all routes share. What is beyond the limit has
// been dropped, so the first one is the one that must be a window old.
const TAKE = script(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local first = redis.call('LINDEX', KEYS[1], -limit)
if limit == 0 then return window end
if first and first + window * 1000 > now then return math.ceil((first + window * 1000 - now) / 1000) end
redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
redis.call('LTRIM', KEYS[1], -limit, -1)
redis.call('PEXPIRE', KEYS[1], window)
return 0
`);

export function redisThrottle(client: RedisClient): Throttle {
  return {
    take: (key, limit, windowMs) => client.script<number>(TAKE, [keyOf(key)], [limit, Math.ceil(windowMs)]),
    giveBack: async (key) => {
      await client.run((redis) => redis.rpop(keyOf(key)));
    },
  };
}

function keyOf(text: string): string {
  return throttleKey(createHash("sha256").update(text).digest("base64url"));
}
