import { randomBytes } from "node:crypto";
import { Batcher } from "../../common/batch.ts";
import type { Logger } from "../../common/logger.ts";
import { isSignedOut, loginOf, type SignOut } from "../session-id.ts";
import { mirrorPresence } from "./presence-redis.ts";
import { type RedisClient, script } from "./redis-client.ts";
import {
  ALL_SHARDS,
  changesKey,
  onlineKey,
  revokedKey,
  SHARDS,
  sessionsKey,
  signOutKey,
} from "./redis-keys.ts";
import { FIELD_OF, SessionCache, toSession } from "./session-cache-redis.ts";
import type { Session, Sessions } from "./sessions.ts";

const CHANGE_BYTES = 6;

// The same session, put again by a call whose answer got lost, is done.
const PUT = script(`
${FIELD_OF}
local there = redis.call('HGET', KEYS[1], ARGV[1])
if there == ARGV[2] then return 'done' end
local holder = there and cjson.decode(there).sessionId or ''
if holder ~= ARGV[3] then return there end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[4])
redis.call('HSET', KEYS[3], field(ARGV[4]), ARGV[5])
return 'done'
`);

// The sessions of all of these users, whose ids are in them.
const OF_USERS = script(`
local answer = {}
for key in string.gmatch(ARGV[1], '%S+') do
  for _, session in ipairs(redis.call('HVALS', key)) do answer[#answer + 1] = session end
end
return answer
`);

const REMOVE = script(`
${FIELD_OF}
local there = redis.call('HGET', KEYS[1], ARGV[1])
if not there or cjson.decode(there).sessionId ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], ARGV[3]) end
redis.call('HSET', KEYS[3], field(ARGV[3]), ARGV[4])
return 1
`);

// Of two at once, and of clocks that differ, the second has the higher generation.
const SIGN_OUT = script(`
local there = redis.call('GET', KEYS[1])
local last = there and tonumber(string.match(there, '^%d+')) or 0
local generation = string.format('%d', math.max(tonumber(ARGV[1]), last + 1))
redis.call('SET', KEYS[1], generation .. ' ' .. ARGV[2], 'PXAT', ARGV[3])
`);

export function redisSessions(client: RedisClient, log: Logger): Sessions {
  const mirror = mirrorPresence(client, log);

  const cache = new SessionCache(client);
  const read = async (userIds: readonly number[]) => {
    const found = await Promise.all(
      client
        .together(userIds, (userId) => userId % SHARDS)
        .map((its) => client.scriptOfMany<Buffer[]>(OF_USERS, its.map(sessionsKey))),
    );
    return Map.groupBy(found.flat().map(toSession), ({ userId }) => userId);
  };
  const keysOf = (userId: number) => {
    const shard = userId % SHARDS;
    return [sessionsKey(userId), onlineKey(shard), changesKey(client.home(shard))];
  };
  // Random, so that none comes again: after a failover of Redis, that of a counter would.
  const change = () => randomBytes(CHANGE_BYTES).toString("base64url");

  // Every request with a token asks. Each is an event of its own: those of one turn of the event loop ask together, or the
  // first would go ahead alone, and have an append of its own for which all others wait.
  const soon = (begin: () => void) => void setImmediate(begin);
  const askRevoked = async (sessions: Pick<Session, "userId" | "sessionId">[]) => {
    const keys = sessions.flatMap(({ userId, sessionId }) => [revokedKey(sessionId), signOutKey(userId)]);
    const found = Array<string | null>(keys.length);
    await Promise.all(
      // They have no shard: in a Cluster each may have a slot of its own.
      client
        .together([...keys.keys()], (i) => i)
        .map(async (its) => {
          const values = await client.run((redis) => redis.mget(its.map((i) => keys[i]!)));
          for (const [j, i] of its.entries()) found[i] = values[j]!;
        }),
    );
    return sessions.map(({ sessionId }, i) => {
      const [revoked, signOut] = [found[2 * i]!, found[2 * i + 1]!];
      return revoked !== null || (signOut !== null && isSignedOut(sessionId, toSignOut(signOut)));
    });
  };
  const revocations = new Batcher(askRevoked, undefined, { soon });

  return {
    // One alone is mostly somebody who logs in: to ask whether it changed would only be one more command.
    ofUsers: (userIds) => (userIds.length === 1 ? read(userIds) : cache.ofUsers(userIds)),
    async put(session, sees) {
      const { userId, slot } = session;
      const args = [slot, JSON.stringify(session), sees ?? "", userId, change()];
      const answer = await client.script<Buffer | null>(PUT, keysOf(userId), args);
      if (String(answer) !== "done") return answer && toSession(answer);
      if (sees !== session.sessionId) await mirror(userId);
      return "done";
    },
    async remove(userId, slot, sessionId) {
      const args = [slot, sessionId, userId, change()];
      const removed = await client.script<number>(REMOVE, keysOf(userId), args);
      if (removed) await mirror(userId);
      return removed === 1;
    },
    async list(after, limit) {
      const userIds = await onlineAfter(client, after, limit);
      const sessions = await read(userIds);
      // Who logged out since then leaves a page that is shorter, but an empty one would look like the last.
      if (sessions.size > 0 || userIds.length === 0)
        return userIds.flatMap((userId) => sessions.get(userId) ?? []);
      return this.list(userIds.at(-1)!, limit);
    },
    async revoke(sessionId, until) {
      if (until <= Date.now()) return;
      await client.run((redis) => redis.set(revokedKey(sessionId), 1, "PXAT", until));
    },
    async signOut(userId, spared, until) {
      const login = spared === null ? "" : loginOf(spared);
      await client.script(SIGN_OUT, [signOutKey(userId)], [Date.now(), login, until]);
    },
    async generation(userId) {
      const there = await client.run((redis) => redis.get(signOutKey(userId)));
      return there === null ? 0 : toSignOut(there).generation;
    },
    isRevoked: (session) => revocations.add(session),
  };
}

function toSignOut(text: string): SignOut {
  const [generation, spared] = text.split(" ") as [string, string];
  return { generation: Number(generation), spared };
}

/** The next users who are online, at most `limit`, none only when there are no more. */
async function onlineAfter(client: RedisClient, after: number, limit: number): Promise<number[]> {
  // A shard's share of the page and some more: users spread, but not evenly.
  const share = Math.min(limit, Math.ceil((limit / SHARDS) * 2) + 8);
  const shards = await Promise.all(
    ALL_SHARDS.map(async (shard) => {
      const ids = await client.run((redis) =>
        redis.zrangebyscore(onlineKey(shard), `(${after}`, "+inf", "LIMIT", 0, share),
      );
      return ids.map(Number);
    }),
  );
  // Beyond the last id of a shard that may have more there may be gaps.
  const complete = Math.min(...shards.map((ids) => (ids.length < share ? Infinity : ids.at(-1)!)));
  const ids = shards.flat().filter((id) => id <= complete);
  return ids.sort((a, b) => a - b).slice(0, limit);
}
