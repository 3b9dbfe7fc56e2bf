import { parseConversation } from "../../proto/conversation.ts";
import type { Appended, Draft } from "./log.ts";
import type { Marks } from "./marks-redis.ts";
import { packRecords } from "./record-redis.ts";
import { type Argument, type RedisClient, script } from "./redis-client.ts";
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

// KEYS: heads, marks, oldest, log and retries of each lot. ARGV: whether new conversations may begin ("1"), and for each
// lot the name of its conversation and its records, packed.
// When some conversations are new and may not begin, it has done nothing and answers the numbers of their lots, packed as
// doubles. Else: the head of each lot before it, and for each retry four doubles: its lot, which of its records it is,
// its seq, and when it was accepted.
// As many commands for a lot of any size; a command costs more than all else here.
const APPEND = script(`
local head, new = {}, {}
for i = 1, #KEYS / 5 do
  local name = ARGV[2 * i]
  if not head[name] then
    local known = redis.call('HGET', KEYS[5 * i - 4], name)
    if not known and ARGV[1] == '0' then new[#new + 1] = struct.pack('>d', i) end
    head[name] = tonumber(known or 0)
  end
end
if #new > 0 then return { table.concat(new) } end
local heads, retries = {}, {}
for i = 1, #KEYS / 5 do
  local name, packed, log = ARGV[2 * i], ARGV[2 * i + 1], KEYS[5 * i - 1]
  local first = head[name]
  local records, fields, at = {}, {}, 1
  while at <= #packed do
    local size, start = struct.unpack('>I4', packed, at)
    at = start + size
    records[#records + 1] = string.sub(packed, start, at - 1)
    fields[#fields + 1] = string.sub(packed, start + 10, start + 9 + struct.unpack('>H', packed, start + 8))
  end
  local known = redis.call('HMGET', KEYS[5 * i], unpack(fields))
  local seq, places, added, fresh = first, {}, {}, {}
  for j = 1, #records do
    local field = fields[j]
    local old = known[j] and tonumber(known[j]) or fresh[field]
    if old then
      local record = old > first and added[old - first] or redis.call('LINDEX', log, old - first - 1)
      retries[#retries + 1] = struct.pack('>dddd', i, j, old, (struct.unpack('>d', record)))
    else
      seq = seq + 1
      fresh[field] = seq
      places[#places + 1] = field
      places[#places + 1] = seq
      added[#added + 1] = records[j]
    end
  end
  if seq > first then
    local score = string.format('%.0f', (struct.unpack('>d', added[1])))
    redis.call('HSET', KEYS[5 * i], unpack(places))
    if redis.call('RPUSH', log, unpack(added)) == #added then redis.call('ZADD', KEYS[5 * i - 2], score, name) end
    redis.call('ZADD', KEYS[5 * i - 3], score, string.format('%s %016.0f %016.0f', name, first + 1, seq))
    redis.call('HSET', KEYS[5 * i - 4], name, seq)
    head[name] = seq
  end
  heads[i] = struct.pack('>d', first)
end
return { table.concat(heads), table.concat(retries) }
`);

const ANNOUNCE = script("for i, name in ipairs(ARGV) do redis.call('ZADD', KEYS[i], 0, name) end");

/** Records in one lot: Lua hands a command at most 8000 arguments, and a record's field and seq are two. */
const MAX_LOT = 1000;
const DOUBLE = 8;
const RETRY_DOUBLES = 4;

/** Consecutive drafts for one conversation among all of a call, by their indexes. */
interface Lot {
  name: string;
  drafts: number[];
}

/**
 * One call for all; in a Cluster one for each shard. A private conversation is put on both members' lists before its
 * first message is accepted: nobody misses one because a process died in between.
 */
export function appendRedis(
  client: RedisClient,
  marks: Marks,
): (drafts: readonly Draft[]) => Promise<Appended[]> {
  async function appendTogether(drafts: readonly Draft[]): Promise<Appended[]> {
    const lots = lotsOf(drafts);
    const keys = lots.flatMap(({ name }) => keysOf(name));
    const records = lots.flatMap((lot): Argument[] => [
      lot.name,
      packRecords(lot.drafts.map((i) => drafts[i]!)),
    ]);
    let answer = await client.script<Buffer[]>(APPEND, keys, [0, ...records]);
    if (answer.length === 1) {
      await announce(doubles(answer[0]!).map((lot) => lots[lot - 1]!.name));
      answer = await client.script<Buffer[]>(APPEND, keys, [1, ...records]);
    }
    return appendedOf(drafts, lots, answer);
  }

  function appendedOf(drafts: readonly Draft[], lots: readonly Lot[], answer: Buffer[]): Appended[] {
    const retries = new Map<number, Appended>();
    const told = doubles(answer[1]!);
    for (let i = 0; i < told.length; i += RETRY_DOUBLES) {
      const [lot, record, seq, at] = told.slice(i, i + RETRY_DOUBLES) as [number, number, number, number];
      retries.set(lots[lot - 1]!.drafts[record - 1]!, { seq, at, retry: true });
    }
    const appended = Array<Appended>(drafts.length);
    for (const [i, head] of doubles(answer[0]!).entries()) {
      const { name, drafts: its } = lots[i]!;
      let seq = head;
      for (const draft of its)
        appended[draft] = retries.get(draft) ?? { seq: ++seq, at: drafts[draft]!.at, retry: false };
      if (seq > head) marks.add(name, head + 1, seq);
    }
    return appended;
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
    if (groups.length === 1) return appendTogether(groups[0]!);
    await Promise.all(
      groups.map(async (group) => {
        const appended = await appendTogether(group);
        for (const [i, draft] of group.entries()) places.set(draft, appended[i]!);
      }),
    );
    return drafts.map((draft) => places.get(draft)!);
  };
}

function lotsOf(drafts: readonly Draft[]): Lot[] {
  const lots: Lot[] = [];
  const open = new Map<string, Lot>();
  for (const [i, { conversation }] of drafts.entries()) {
    let lot = open.get(conversation);
    if (lot === undefined || lot.drafts.length === MAX_LOT) {
      lot = { name: conversation, drafts: [] };
      lots.push(lot);
      open.set(conversation, lot);
    }
    lot.drafts.push(i);
  }
  return lots;
}

function keysOf(name: string): string[] {
  const shard = shardOf(name);
  return [headsKey(shard), marksKey(shard), oldestKey(shard), logKey(name), retriesKey(name)];
}

function doubles(packed: Buffer): number[] {
  return Array.from({ length: packed.length / DOUBLE }, (_, i) => packed.readDoubleBE(i * DOUBLE));
}

/** Both members of a private conversation. @throws CimError INVALID for a name that is no conversation's */
function membersOf(name: string): number[] {
  const conversation = parseConversation(name);
  return conversation.kind === "p2p" ? [conversation.low, conversation.high] : [];
}
