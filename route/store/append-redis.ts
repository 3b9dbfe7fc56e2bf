import { parseConversation } from "../../proto/conversation.ts";
import type { Appended, Draft } from "./log.ts";
import { encodeRecord } from "./record-redis.ts";
import { type RedisClient, script } from "./redis-client.ts";
import {
  headsKey,
  logKey,
  marksKey,
  oldestKey,
  retriesKey,
  SHARDS,
  shardOf,
  talksKey,
} from "./redis-keys.ts";

// KEYS: heads, marks, oldest, log and retries of each conversation. ARGV: how many conversations, whether new ones may
// begin ("1"), their names, then for each draft its conversation's number and its record.
// Answers numbers below 0, and has done nothing, when some of the conversations are new and may not begin; else for
// each draft its seq and, where that is an old one, when it was accepted (-1: just now).
const APPEND = script(`
local count = tonumber(ARGV[1])
local head, new = {}, {}
for i = 1, count do
  local known = redis.call('HGET', KEYS[5 * i - 4], ARGV[2 + i])
  if not known and ARGV[2] == '0' then new[#new + 1] = -i end
  head[i] = tonumber(known or 0)
end
if #new > 0 then return new end
local answer = {}
for a = count + 3, #ARGV, 2 do
  local i, record = tonumber(ARGV[a]), ARGV[a + 1]
  local name, log, retries = ARGV[2 + i], KEYS[5 * i - 1], KEYS[5 * i]
  local at, size = struct.unpack('>dH', record)
  local retry, seq = string.sub(record, 11, 10 + size), head[i] + 1
  if redis.call('HSETNX', retries, retry, seq) == 1 then
    local score = string.format('%.0f', at)
    if redis.call('RPUSH', log, record) == 1 then redis.call('ZADD', KEYS[5 * i - 2], score, name) end
    redis.call('ZADD', KEYS[5 * i - 3], score, name .. ' ' .. string.format('%016.0f', seq))
    head[i] = seq
    answer[#answer + 1] = seq
    answer[#answer + 1] = -1
  else
    seq = tonumber(redis.call('HGET', retries, retry))
    answer[#answer + 1] = seq
    answer[#answer + 1] = struct.unpack('>d', redis.call('LINDEX', log, seq - head[i] - 1))
  end
end
for i = 1, count do redis.call('HSET', KEYS[5 * i - 4], ARGV[2 + i], head[i]) end
return answer
`);

const ANNOUNCE = script("for i, name in ipairs(ARGV) do redis.call('ZADD', KEYS[i], 0, name) end");

/**
 * One call for all; in a Cluster one for each shard. A private conversation is put on both members' lists before its
 * first message is accepted: nobody misses one because a process died in between.
 */
export function appendRedis(client: RedisClient): (drafts: readonly Draft[]) => Promise<Appended[]> {
  async function appendTogether(drafts: readonly Draft[]): Promise<Appended[]> {
    const names = [...new Set(drafts.map(({ conversation }) => conversation))];
    const number = new Map(names.map((name, i) => [name, i + 1]));
    const keys = names.flatMap((name) => {
      const shard = shardOf(name);
      return [headsKey(shard), marksKey(shard), oldestKey(shard), logKey(name), retriesKey(name)];
    });
    const records = drafts.flatMap((draft) => [number.get(draft.conversation)!, encodeRecord(draft)]);
    let answer = await client.script<number[]>(APPEND, keys, [names.length, 0, ...names, ...records]);
    if (answer[0]! < 0) {
      await announce(answer.map((negative) => names[-negative - 1]!));
      answer = await client.script<number[]>(APPEND, keys, [names.length, 1, ...names, ...records]);
    }
    return drafts.map(({ at }, i) => {
      const [seq, first] = [answer[2 * i]!, answer[2 * i + 1]!];
      return { seq, at: first === -1 ? at : first, retry: first !== -1 };
    });
  }

  async function announce(names: string[]): Promise<void> {
    const members = names.flatMap((name) => membersOf(name).map((userId) => ({ name, userId })));
    await Promise.all(
      client
        .together(members, ({ userId }) => userId % SHARDS)
        .map((its) =>
          client.script(
            ANNOUNCE,
            its.map(({ userId }) => talksKey(userId)),
            its.map(({ name }) => name),
          ),
        ),
    );
  }

  return async (drafts) => {
    const places = new Map<Draft, Appended>();
    const groups = client.together(drafts, ({ conversation }) => shardOf(conversation));
    await Promise.all(
      groups.map(async (group) => {
        const appended = await appendTogether(group);
        for (const [i, draft] of group.entries()) places.set(draft, appended[i]!);
      }),
    );
    return drafts.map((draft) => places.get(draft)!);
  };
}

/** Both members of a private conversation. @throws CimError INVALID for a name that is no conversation's */
function membersOf(name: string): number[] {
  const conversation = parseConversation(name);
  return conversation.kind === "p2p" ? [conversation.low, conversation.high] : [];
}
