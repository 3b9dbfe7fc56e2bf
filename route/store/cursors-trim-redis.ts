import { headsOf } from "./heads-redis.ts";
import { type RedisClient, script } from "./redis-client.ts";
import { ALL_SHARDS, cursorsKey, readersKey, SHARDS, sessionsKey, slotsKey } from "./redis-keys.ts";

const USERS_AT_ONCE = 100;

// KEYS: slots, cursors, sessions, readers. ARGV: at, user, when it was looked at, then cursors' fields, each with the
// last seq of its conversation that is not kept. A cursor that moved meanwhile is compared as it is now.
const SETTLE = script(`
for i = 4, #ARGV, 2 do
  local there = redis.call('HGET', KEYS[2], ARGV[i])
  if there and tonumber(there) <= tonumber(ARGV[i + 1]) then redis.call('HDEL', KEYS[2], ARGV[i]) end
end
local reads = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do reads[string.match(field, '^%S+ (.*)$')] = true end
local slots = redis.call('HGETALL', KEYS[1])
for i = 1, #slots, 2 do
  local slot, since = slots[i], string.match(slots[i + 1], '^%d+')
  if tonumber(since) < tonumber(ARGV[1]) and redis.call('HEXISTS', KEYS[3], slot) == 0 then
    if reads[slot] then redis.call('HSET', KEYS[1], slot, since .. ' -') else redis.call('HDEL', KEYS[1], slot) end
  end
end
if redis.call('EXISTS', KEYS[1], KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[4], ARGV[2])
else
  redis.call('ZADD', KEYS[4], ARGV[3], ARGV[2])
end
`);

/**
 * Goes through the users who were not looked at since `at`: each of them comes up once in a retention period, so
 * that the work is spread, and what can go is gone after two of them at the latest.
 */
export async function trimCursors(client: RedisClient, at: number): Promise<void> {
  const looked = Math.max(Date.now(), at);
  for (const shard of ALL_SHARDS) {
    for (;;) {
      const due = await client.run((redis) =>
        redis.zrangebyscore(readersKey(shard), "-inf", `(${at}`, "LIMIT", 0, USERS_AT_ONCE),
      );
      await Promise.all(due.map((userId) => settle(client, Number(userId), at, looked)));
      if (due.length < USERS_AT_ONCE) break;
    }
  }
}

async function settle(client: RedisClient, userId: number, at: number, looked: number): Promise<void> {
  const fields = await client.run((redis) => redis.hkeys(cursorsKey(userId)));
  const nameOf = (field: string) => field.slice(0, field.indexOf(" "));
  const heads = await headsOf(client, [...new Set(fields.map(nameOf))]);
  const gone = fields.flatMap((field) => {
    const { head, kept } = heads.get(nameOf(field))!;
    return [field, head - kept];
  });
  const keys = [slotsKey(userId), cursorsKey(userId), sessionsKey(userId), readersKey(userId % SHARDS)];
  await client.script(SETTLE, keys, [at, userId, looked, ...gone]);
}
