import { ALL } from "../../proto/conversation.ts";
import type { Cursors, Unread } from "./cursors.ts";
import { trimCursors } from "./cursors-trim-redis.ts";
import { headsOf } from "./heads-redis.ts";
import { type RedisClient, script } from "./redis-client.ts";
import { cursorsKey, readersKey, SHARDS, slotsKey, talksKey } from "./redis-keys.ts";

// A slot is "<when it was last joined or moved> <its cursor of the conversation of all, or ->". A cursor's field is
// "<conversation> <slot>": there is no space in a conversation's name.

/** Names of conversations that `unread` looks at in one go. */
const CHUNK = 256;

const JOIN = script(`
local now, slot, head = ARGV[1], ARGV[3], ARGV[4]
local there = redis.call('HGET', KEYS[1], slot)
if not there and slot ~= '' then
  local cursors = redis.call('HGETALL', KEYS[2])
  for i = 1, #cursors, 2 do
    local name = string.match(cursors[i], '^(%S+) $')
    if name then
      local own = redis.call('HGET', KEYS[2], name .. ' ' .. slot)
      if not own or tonumber(own) < tonumber(cursors[i + 1]) then
        redis.call('HSET', KEYS[2], name .. ' ' .. slot, cursors[i + 1])
      end
    end
  end
end
redis.call('HSET', KEYS[1], slot, now .. ' ' .. (there and string.match(there, ' (%d+)$') or head))
redis.call('ZADD', KEYS[3], 'NX', now, ARGV[2])
`);

const LEAVE = script(`
local there = redis.call('HGET', KEYS[1], ARGV[1])
if there then redis.call('HSET', KEYS[1], ARGV[1], string.match(there, '^%d+') .. ' -') end
`);

// KEYS: readers, cursors and slots of each; ARGV: now, then user, conversation, slot and seq of each.
const ACK = script(`
for i = 1, #KEYS / 3 do
  local readers, cursors, slots = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  local user, name, slot, seq = unpack(ARGV, 4 * i - 2, 4 * i + 1)
  if name == '${ALL}' then
    local there = redis.call('HGET', slots, slot)
    local everyone = there and string.match(there, ' (%d+)$')
    if everyone and tonumber(everyone) < tonumber(seq) then
      redis.call('HSET', slots, slot, ARGV[1] .. ' ' .. seq)
    end
  else
    for _, follower in ipairs({ slot, '' }) do
      local field = name .. ' ' .. follower
      local there = redis.call('HGET', cursors, field)
      if not there or tonumber(there) < tonumber(seq) then redis.call('HSET', cursors, field, seq) end
    end
    redis.call('ZADD', readers, 'NX', ARGV[1], user)
  end
end
`);

export function redisCursors(client: RedisClient): Cursors {
  async function everyoneCursor(userId: number, slot: string): Promise<number | null> {
    const there = await client.run((redis) => redis.hget(slotsKey(userId), slot));
    const seq = / (\d+)$/.exec(there ?? "")?.[1];
    return seq === undefined ? null : Number(seq);
  }

  async function unreadOfAll(userId: number, slot: string): Promise<Unread[]> {
    const cursor = await everyoneCursor(userId, slot);
    if (cursor === null) return [];
    const { head, kept } = (await headsOf(client, [ALL])).get(ALL)!;
    return kept > 0 && head > cursor ? [{ conversation: ALL, cursor, head }] : [];
  }

  async function unreadOf(userId: number, slot: string, names: string[]): Promise<Unread[]> {
    const fields = names.map((name) => fieldOf(name, slot));
    const [seqs, heads] = await Promise.all([
      client.run((redis) => redis.hmget(cursorsKey(userId), ...fields)),
      headsOf(client, names),
    ]);
    return names.flatMap((conversation, i) => {
      const cursor = Number(seqs[i] ?? 0);
      const { head, kept } = heads.get(conversation)!;
      return kept > 0 && head > cursor ? [{ conversation, cursor, head }] : [];
    });
  }

  return {
    async join(userId, slot) {
      const { head } = (await headsOf(client, [ALL])).get(ALL)!;
      const keys = [slotsKey(userId), cursorsKey(userId), readersKey(userId % SHARDS)];
      await client.script(JOIN, keys, [Date.now(), userId, slot, head]);
    },
    async leave(userId, slot) {
      await client.script(LEAVE, [slotsKey(userId)], [slot]);
    },
    async ack(acks) {
      const heads = await headsOf(client, [...new Set(acks.map(({ conversation }) => conversation))]);
      const good = acks.filter(({ conversation, seq }) => seq > 0 && seq <= heads.get(conversation)!.head);
      await Promise.all(
        client
          .together(good, ({ userId }) => userId % SHARDS)
          .map((its) => {
            const keys = its.flatMap(({ userId }) => [
              readersKey(userId % SHARDS),
              cursorsKey(userId),
              slotsKey(userId),
            ]);
            const args = its.flatMap(({ userId, conversation, slot, seq }) => [
              userId,
              conversation,
              slot,
              seq,
            ]);
            return client.script(ACK, keys, [Date.now(), ...args]);
          }),
      );
    },
    async cursor(userId, slot, conversation) {
      if (conversation === ALL) return (await everyoneCursor(userId, slot)) ?? 0;
      return Number(
        (await client.run((redis) => redis.hget(cursorsKey(userId), fieldOf(conversation, slot)))) ?? 0,
      );
    },
    async unread(userId, slot, from, limit) {
      const found = from < ALL ? await unreadOfAll(userId, slot) : [];
      for (let last = from; found.length < limit; ) {
        const names = await client.run((redis) =>
          redis.zrangebylex(talksKey(userId), last === "" ? "-" : `(${last}`, "+", "LIMIT", 0, CHUNK),
        );
        if (names.length > 0) found.push(...(await unreadOf(userId, slot, names)));
        if (names.length < CHUNK) break;
        last = names.at(-1)!;
      }
      return found.slice(0, limit);
    },
    trim: (at) => trimCursors(client, at),
  };
}

function fieldOf(conversation: string, slot: string): string {
  return `${conversation} ${slot}`;
}
