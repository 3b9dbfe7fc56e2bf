import { parseConversation } from "../../proto/conversation.ts";
import type { Appended, Draft } from "./log.ts";
import type { Marks } from "./marks-redis.ts";
import { Packed } from "./record-redis.ts";
import { type RedisClient, script } from "./redis-client.ts";
import {
  ALL_SHARDS,
  headsKey,
  logKey,
  marksKey,
  oldestKey,
  retriesKey,
  SHARDS,
  shardOf,
  talksKey,
} from "./redis-keys.ts";

// ARGV: the keys, for each shard heads, marks, oldest and retries, then the log of each of its lots; whether new
// conversations may begin ("1"); and all records in that order, packed (record-redis.ts).
// Answers the head of each lot before it; for each retry its lot, which of its records it is, its seq, and when it was
// accepted; and the lots of conversations that are new and may not begin: nothing was done for these.
// As many commands for a lot of any size: they, and what Lua does around them, are what an append costs. Numbers go to
// commands as text by %d: by themselves they would go through a far slower %.17g.
const APPEND = script(`
local call, format, sub = redis.call, string.format, string.sub
local heads, retries, new = {}, {}, {}
local key, mayBegin, packed, at = string.gmatch(ARGV[1], '%S+'), ARGV[2] == '1', ARGV[3], 1

local function number()
  local value, after = struct.unpack('>I4', packed, at)
  at = after
  return value
end

local function retry(log, head, known, j, added)
  local old = tonumber(known)
  local record = old > head and added[old - head] or call('LINDEX', log, format('%d', old - head - 1))
  for _, number in ipairs({ #heads + 1, j, old, (struct.unpack('>d', record)) }) do retries[#retries + 1] = number end
end

for headsKey in key do
  local marksKey, oldestKey, retriesKey = key(), key(), key()
  for _ = 1, number() do
    local log = key()
    local name = sub(log, string.find(log, '}:', 1, true) + 2)
    local records, fields = {}, {}
    for j = 1, number() do
      local size = number()
      records[j] = sub(packed, at, at + size - 1)
      fields[j] = name .. ' ' .. sub(packed, at + 10, at + 9 + struct.unpack('>H', packed, at + 8))
      at = at + size
    end
    local seq = call('HINCRBY', headsKey, name, format('%d', #records))
    local head, added = seq - #records, records
    if head == 0 and not mayBegin then
      call('HDEL', headsKey, name)
      new[#new + 1] = #heads + 1
      added = {}
    elseif #records == 1 then
      if call('HSETNX', retriesKey, fields[1], format('%d', seq)) == 0 then
        added = {}
        retry(log, head, call('HGET', retriesKey, fields[1]), 1)
      end
    else
      local known = call('HMGET', retriesKey, unpack(fields))
      local places, fresh = {}, {}
      added = {}
      for j = 1, #records do
        local field = fields[j]
        local old = known[j] or fresh[field]
        if old then
          retry(log, head, old, j, added)
        else
          added[#added + 1] = records[j]
          fresh[field] = format('%d', head + #added)
          places[#places + 1] = field
          places[#places + 1] = fresh[field]
        end
      end
      if #added > 0 then call('HSET', retriesKey, unpack(places)) end
    end
    if #added < #records and (head > 0 or mayBegin) then
      call('HINCRBY', headsKey, name, format('%d', #added - #records))
    end
    if #added > 0 then
      local score = format('%d', (struct.unpack('>d', added[1])))
      if call('RPUSH', log, unpack(added)) == #added then call('ZADD', oldestKey, score, name) end
      call('ZADD', marksKey, score, name .. format(' %016d %016d', head + 1, head + #added))
    end
    heads[#heads + 1] = head
  end
end
return { heads, retries, new }
`);

/** Of each shard. */
const KEYS = ALL_SHARDS.map((shard) =>
  [headsKey(shard), marksKey(shard), oldestKey(shard), retriesKey(shard)].join(" "),
);

const ANNOUNCE = script("for i, name in ipairs(ARGV) do redis.call('ZADD', KEYS[i], 0, name) end");

/** Records in one lot: Lua hands a command at most 8000 arguments, and a record's field and seq are two. */
const MAX_LOT = 1000;
const RETRY_NUMBERS = 4;

/** Drafts for one conversation among all of a call, by their indexes. */
interface Lot {
  name: string;
  drafts: number[];
}

type Answer = [heads: number[], retries: number[], unknown: number[]];

/**
 * One call for all; in a Cluster one for each shard. A private conversation is put on both members' lists before its
 * first message is accepted: nobody misses one because a process died in between.
 */
export function appendRedis(
  client: RedisClient,
  marks: Marks,
): (drafts: readonly Draft[]) => Promise<Appended[]> {
  async function appendTogether(drafts: readonly Draft[]): Promise<Appended[]> {
    const appended = Array<Appended>(drafts.length);
    const unknown = await appendLots(drafts, lotsOf(drafts), false, appended);
    if (unknown.length > 0) {
      await announce(unknown.map(({ name }) => name));
      await appendLots(drafts, unknown, true, appended);
    }
    return appended;
  }

  /** Fills in where the drafts stand; answers the lots of conversations that are new and may not begin. */
  async function appendLots(
    drafts: readonly Draft[],
    lots: readonly Lot[],
    mayBegin: boolean,
    appended: Appended[],
  ): Promise<Lot[]> {
    const keys: string[] = [];
    const sent: Lot[] = [];
    const packed = new Packed(drafts);
    for (const [shard, its] of Map.groupBy(lots, ({ name }) => shardOf(name))) {
      keys.push(KEYS[shard]!);
      packed.number(its.length);
      for (const lot of its) {
        keys.push(logKey(lot.name, shard));
        packed.number(lot.drafts.length);
        for (const i of lot.drafts) packed.record(drafts[i]!);
        sent.push(lot);
      }
    }
    const args = [mayBegin ? 1 : 0, packed.bytes];
    const [heads, retries, unknown] = await client.scriptOfMany<Answer>(APPEND, keys, args);
    for (let i = 0; i < retries.length; i += RETRY_NUMBERS) {
      const [lot, record, seq, at] = retries.slice(i, i + RETRY_NUMBERS) as [number, number, number, number];
      appended[sent[lot - 1]!.drafts[record - 1]!] = { seq, at, retry: true };
    }
    const left = new Set(unknown.map((lot) => sent[lot - 1]!));
    for (const [i, lot] of sent.entries()) if (!left.has(lot)) place(drafts, lot, heads[i]!, appended);
    return [...left];
  }

  /** Those of a lot that are no retries follow one another. */
  function place(drafts: readonly Draft[], lot: Lot, head: number, appended: Appended[]): void {
    let seq = head;
    for (const i of lot.drafts) appended[i] ??= { seq: ++seq, at: drafts[i]!.at, retry: false };
    if (seq > head) marks.add(lot.name, head + 1, seq);
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

/** Both members of a private conversation. @throws CimError INVALID for a name that is no conversation's */
function membersOf(name: string): number[] {
  const conversation = parseConversation(name);
  return conversation.kind === "p2p" ? [conversation.low, conversation.high] : [];
}
