import { type AppendRedis, appendRedis } from "./append-redis.ts";
import type { Log, PageLimit, Stored } from "./log.ts";
import { Marks } from "./marks-redis.ts";
import { messageOf } from "./record-redis.ts";
import { type RedisClient, script } from "./redis-client.ts";
import { ALL_SHARDS, headsKey, logKey, oldestKey, retriesKey, shardOf } from "./redis-keys.ts";

// A log is a list of all that is kept, without holes: what was trimmed are the seqs up to head - length.

// Records from seq ARGV[2] on (ARGV[3] = 1) or back (-1), at most ARGV[4], until they hold ARGV[5] bytes.
const READ = script(`
local head = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
local length = redis.call('LLEN', KEYS[2])
local step, left, room = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local first = head - length + 1
local seq = tonumber(ARGV[2])
if step == 1 then seq = math.max(seq, first) else seq = math.min(seq, head) end
local answer = { head, seq }
while left > 0 and room >= 0 and seq >= first and seq <= head do
  local count = math.min(left, 32)
  local from, to = seq - first, seq - first + count - 1
  if step == -1 then from, to = math.max(seq - first - count + 1, 0), seq - first end
  local records = redis.call('LRANGE', KEYS[2], from, to)
  for i = 1, #records do
    if room < 0 then break end
    local record = records[step == 1 and i or #records + 1 - i]
    answer[#answer + 1] = record
    room = room - (#record - 10 - struct.unpack('>H', record, 9))
    seq = seq + step
    left = left - 1
  end
end
return answer
`);

// Takes what was accepted before ARGV[1], at most ARGV[2], from the beginnings of these conversations.
const TRIM = script(`
local cut, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local taken = 0
for i = 4, #KEYS do
  local log, name = KEYS[i], ARGV[i - 1]
  local seq = tonumber(redis.call('HGET', KEYS[1], name)) - redis.call('LLEN', log)
  local done = false
  while not done do
    local records = redis.call('LRANGE', log, 0, math.min(limit - taken, 64))
    local gone = 0
    for _, record in ipairs(records) do
      local at, size = struct.unpack('>dH', record)
      if at >= cut or taken == limit then
        redis.call('ZADD', KEYS[2], string.format('%.0f', at), name)
        done = true
        break
      end
      seq = seq + 1
      redis.call('HDEL', KEYS[3], name .. ' ' .. string.sub(record, 11, 10 + size))
      gone = gone + 1
      taken = taken + 1
    end
    redis.call('LTRIM', log, gone, -1)
    if #records == 0 then
      redis.call('ZREM', KEYS[2], name)
      done = true
    end
  end
end
return taken
`);

/** Conversations that one call of TRIM looks at. */
const TRIM_CONVERSATIONS = 100;

export function redisLog(client: RedisClient): Omit<Log, "append"> & { append: AppendRedis } {
  const marks = new Marks(client);

  async function read(
    conversation: string,
    from: number,
    step: 1 | -1,
    limit: PageLimit,
  ): Promise<{ head: number; messages: Stored[] }> {
    const keys = [headsKey(shardOf(conversation)), logKey(conversation)];
    const args = [conversation, from, step, limit.messages, limit.bytes];
    const answer = await client.script<[number, number, ...Buffer[]]>(READ, keys, args);
    const [head, first, ...records] = answer;
    const messages: Stored[] = [];
    let bytes = 0;
    for (const [i, record] of records.entries()) {
      const seq = first + i * step;
      const message = messageOf(record, seq);
      bytes += message.length;
      if (messages.length > 0 && bytes > limit.bytes) break;
      messages.push({ conversation, seq, bytes: message });
    }
    return { head, messages };
  }

  return {
    append: appendRedis(client, marks),
    async read(conversation, after, limit) {
      const { head, messages } = await read(conversation, after + 1, 1, limit);
      const through = messages.at(-1)?.seq ?? Math.max(after, head);
      return { after, through, head, messages };
    },
    async history(conversation, before, limit) {
      const from = Math.min(before, Number.MAX_SAFE_INTEGER) - 1;
      return (await read(conversation, from, -1, limit)).messages.reverse();
    },
    async head(conversation) {
      const head = await client.run((redis) => redis.hget(headsKey(shardOf(conversation)), conversation));
      return Number(head ?? 0);
    },
    unpushed: (at, limit, except) => marks.take(at, limit, except),
    pushed: (messages) => marks.remove(messages),
    async trim(at, limit) {
      let taken = 0;
      for (const shard of await shardsToTrim(client, at)) {
        for (let more = true; more && taken < limit; ) {
          const names = await client.run((redis) =>
            redis.zrangebyscore(oldestKey(shard), "-inf", `(${at}`, "LIMIT", 0, TRIM_CONVERSATIONS),
          );
          const keys = [
            headsKey(shard),
            oldestKey(shard),
            retriesKey(shard),
            ...names.map((name) => logKey(name, shard)),
          ];
          taken += await client.script<number>(TRIM, keys, [at, limit - taken, ...names]);
          more = names.length === TRIM_CONVERSATIONS;
        }
      }
      // Marks of what is gone come off.
      if (taken > 0) await marks.take(at, limit);
      return taken;
    },
  };
}

async function shardsToTrim(client: RedisClient, at: number): Promise<number[]> {
  const found = await Promise.all(
    ALL_SHARDS.map((shard) =>
      client.run((redis) => redis.zrangebyscore(oldestKey(shard), "-inf", `(${at}`, "LIMIT", 0, 1)),
    ),
  );
  return ALL_SHARDS.filter((shard) => found[shard]!.length > 0);
}
