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

// ARGV: the keys and names, that of the marks, then for each shard heads, oldest, retries, what precedes the name of a log,
// and the name of each lot; whether new conversations may begin ("1"); when the first of all was accepted; and all records
// in that order, packed (record-redis.ts).
// Answers for each retry its lot, which of its records it is, its seq, and when it was accepted; the lots of conversations
// that are new and may not begin: nothing was done for these; and the mark, which tells the seqs of all others.
// As many commands for a lot of any size: they, and what Lua does around them, are what an append costs. Numbers go to
// commands as text by %d: by themselves they would go through a far slower %.17g.
const APPEND = script(`
local call, format, sub, read = redis.call, string.format, string.sub, struct.unpack
local retries, new, runs, lot = {}, {}, {}, 0
local key, mayBegin, packed, place = string.gmatch(ARGV[1], '%S+'), ARGV[2] == '1', ARGV[4], 1

local function number()
  local value, after = read('>I4', packed, place)
  place = after
  return value
end

local function record(name)
  local size, at, length, retry = read('>I4dH', packed, place)
  local from = place + 4
  place = from + size
  return sub(packed, from, place - 1), name .. ' ' .. sub(packed, retry, retry + length - 1), at
end

local function retry(j, seq, at)
  for _, number in ipairs({ lot, j, tonumber(seq), at }) do retries[#retries + 1] = number end
end

local function acceptedAt(log, head, seq)
  return (read('>d', call('LINDEX', log, format('%d', seq - head - 1))))
end

local marksKey = key()
for headsKey in key do
  local oldestKey, retriesKey, prefix = key(), key(), key()
  for _ = 1, number() do
    lot = lot + 1
    local name = key()
    local log, count = prefix .. name, number()
    local seq = call('HINCRBY', headsKey, name, format('%d', count))
    local head, length, added, oldest = seq - count, 0, 0, nil
    if head == 0 and not mayBegin then
      call('HDEL', headsKey, name)
      new[#new + 1] = lot
      for _ = 1, count do record(name) end
    else
      if count == 1 then
        local message, field, at = record(name)
        if call('HSETNX', retriesKey, field, format('%d', seq)) == 1 then
          added, oldest, length = 1, at, call('RPUSH', log, message)
        else
          local old = call('HGET', retriesKey, field)
          retry(1, old, acceptedAt(log, head, old))
        end
      else
        local messages, fields, times = {}, {}, {}
        for j = 1, count do messages[j], fields[j], times[j] = record(name) end
        local known = call('HMGET', retriesKey, unpack(fields))
        local fresh, places, first = {}, {}, {}
        for j = 1, count do
          local field = fields[j]
          if known[j] then
            retry(j, known[j], acceptedAt(log, head, known[j]))
          elseif first[field] then
            retry(j, head + first[field], times[first[field]])
          else
            added = added + 1
            fresh[added], times[added], first[field] = messages[j], times[j], added
            places[2 * added - 1], places[2 * added] = field, format('%d', head + added)
          end
        end
        if added > 0 then
          call('HSET', retriesKey, unpack(places))
          oldest, length = times[1], call('RPUSH', log, unpack(fresh))
        end
      end
      if added < count then call('HINCRBY', headsKey, name, format('%d', added - count)) end
      if added > 0 then
        if length == added then call('ZADD', oldestKey, format('%d', oldest), name) end
        runs[#runs + 1] = name .. format(' %d %d', head + 1, head + added)
      end
    end
  end
end
local mark = table.concat(runs, ',')
if #runs > 0 then call('ZADD', marksKey, ARGV[3], mark) end
return { retries, new, mark }
`);

/** Of each shard, as the script reads them. */
const KEYS = ALL_SHARDS.map((shard) =>
  [headsKey(shard), oldestKey(shard), retriesKey(shard), logKey("", shard)].join(" "),
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

type Answer = [retries: number[], unknown: number[], mark: Buffer];

/** `atOnce`: all of it stood after what was sent to Redis before this was first waited for. */
export type AppendRedis = (drafts: readonly Draft[]) => Promise<{ places: Appended[]; atOnce: boolean }>;

/**
 * One call for all; in a Cluster one for each shard. A private conversation is put on both members' lists before its
 * first message is accepted: nobody misses one because a process died in between.
 */
export function appendRedis(client: RedisClient, marks: Marks): AppendRedis {
  const appendTogether: AppendRedis = async (drafts) => {
    const places = Array<Appended>(drafts.length);
    const { repeated } = client;
    const unknown = await appendLots(drafts, lotsOf(drafts), false, places);
    const atOnce = unknown.length === 0 && client.repeated === repeated;
    if (unknown.length > 0) {
      await announce(unknown.map(({ name }) => name));
      await appendLots(drafts, unknown, true, places);
    }
    return { places, atOnce };
  };

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
    const shards = Map.groupBy(lots, ({ name }) => shardOf(name));
    const [home] = shards.keys();
    if (home === undefined) return [];
    for (const [shard, its] of shards) {
      keys.push(KEYS[shard]!);
      packed.number(its.length);
      for (const lot of its) {
        keys.push(lot.name);
        packed.number(lot.drafts.length);
        for (const i of lot.drafts) packed.record(drafts[i]!);
        sent.push(lot);
      }
    }
    const since = Math.min(...drafts.map(({ at }) => at));
    const args = [mayBegin ? 1 : 0, since, packed.bytes];
    const [retries, unknown, mark] = await client.scriptOfMany<Answer>(
      APPEND,
      [marksKey(home), ...keys],
      args,
    );
    for (let i = 0; i < retries.length; i += RETRY_NUMBERS) {
      const [lot, record, seq, at] = retries.slice(i, i + RETRY_NUMBERS) as [number, number, number, number];
      appended[sent[lot - 1]!.drafts[record - 1]!] = { seq, at, retry: true };
    }
    const left = new Set(unknown.map((lot) => sent[lot - 1]!));
    // Of each lot, what is no retry is a run.
    const runs = marks.set({ home, since, text: String(mark) }).values();
    for (const lot of left.size > 0 ? sent.filter((lot) => !left.has(lot)) : sent) {
      const fresh = lot.drafts.filter((i) => appended[i] === undefined);
      if (fresh.length === 0) continue;
      let { next: seq } = runs.next().value!;
      for (const i of fresh) appended[i] = { seq: seq++, at: drafts[i]!.at, retry: false };
    }
    return [...left];
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
        for (const [i, draft] of group.entries()) places.set(draft, appended.places[i]!);
      }),
    );
    return { places: drafts.map((draft) => places.get(draft)!), atOnce: false };
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
