import { parseConversation } from "../../proto/conversation.ts";
import type { Appended, Draft } from "./log.ts";
import { encodeRecord } from "./record-redis.ts";
import { type RedisClient, script } from "./redis-client.ts";
import {
  byShard,
  headsKey,
  logKey,
  marksKey,
  oldestKey,
  retriesKey,
  shardOf,
  talksKey,
} from "./redis-keys.ts";

// KEYS: heads, marks, oldest, then the log and the retries of each conversation. ARGV: whether new conversations
// may begin ("1"), the conversations' names, then for each draft its conversation's number and its record.
// Answers numbers below 0, and has done nothing, when some of the conversations are new and may not begin; else for
// each draft its seq and, where that is an old one, when it was accepted (-1: just now).
const APPEND = script(`
local count = (#KEYS - 3) / 2
local head, new = {}, {}
for i = 1, count do
  local known = redis.call('HGET', KEYS[1], ARGV[1 + i])
  if not known and ARGV[1] == '0' then new[#new + 1] = -i end
  head[i] = tonumber(known or 0)
end
if #new > 0 then return new end
local answer = {}
for a = count + 2, #ARGV, 2 do
  local i, record = tonumber(ARGV[a]), ARGV[a + 1]
  local log, retries, name = KEYS[2 + 2 * i], KEYS[3 + 2 * i], ARGV[1 + i]
  local at, size = struct.unpack('>dH', record)
  local retry, seq = string.sub(record, 11, 10 + size), head[i] + 1
  if redis.call('HSETNX', retries, retry, seq) == 1 then
    local score = string.format('%.0f', at)
    if redis.call('RPUSH', log, record) == 1 then redis.call('ZADD', KEYS[3], score, name) end
    redis.call('ZADD', KEYS[2], score, name .. ' ' .. string.format('%016.0f', seq))
    head[i] = seq
    answer[#answer + 1] = seq
    answer[#answer + 1] = -1
  else
    seq = tonumber(redis.call('HGET', retries, retry))
    answer[#answer + 1] = seq
    answer[#answer + 1] = struct.unpack('>d', redis.call('LINDEX', log, seq - head[i] - 1))
  end
end
for i = 1, count do redis.call('HSET', KEYS[1], ARGV[1 + i], head[i]) end
return answer
`);

/**
 * One call for each shard. A private conversation is put on both members' lists before its first message is
 * accepted: nobody misses one because a process died in between.
 */
export function appendRedis(client: RedisClient): (drafts: readonly Draft[]) => Promise<Appended[]> {
  async function appendInShard(shard: number, drafts: readonly Draft[]): Promise<Appended[]> {
    const names = [...new Set(drafts.map(({ conversation }) => conversation))];
    const number = new Map(names.map((name, i) => [name, i + 1]));
    const keys = [headsKey(shard), marksKey(shard), oldestKey(shard)];
    for (const name of names) keys.push(logKey(name), retriesKey(name));
    const args = drafts.flatMap((draft) => [number.get(draft.conversation)!, encodeRecord(draft)]);
    let answer = await client.script<number[]>(APPEND, keys, ["0", ...names, ...args]);
    if (answer[0]! < 0) {
      await list(answer.map((negative) => names[-negative - 1]!));
      answer = await client.script<number[]>(APPEND, keys, ["1", ...names, ...args]);
    }
    return drafts.map(({ at }, i) => {
      const [seq, first] = [answer[2 * i]!, answer[2 * i + 1]!];
      return { seq, at: first === -1 ? at : first, retry: first !== -1 };
    });
  }

  async function list(names: string[]): Promise<void> {
    await Promise.all(
      names.flatMap((name) => {
        const conversation = parseConversation(name);
        if (conversation.kind !== "p2p") return [];
        return [conversation.low, conversation.high].map((userId) =>
          client.run((redis) => redis.zadd(talksKey(userId), 0, name)),
        );
      }),
    );
  }

  return async (drafts) => {
    const places = new Map<Draft, Appended>();
    await Promise.all(
      [...byShard(drafts, ({ conversation }) => shardOf(conversation))].map(async ([shard, its]) => {
        const appended = await appendInShard(shard, its);
        for (const [i, draft] of its.entries()) places.set(draft, appended[i]!);
      }),
    );
    return drafts.map((draft) => places.get(draft)!);
  };
}
