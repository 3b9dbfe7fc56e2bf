import { Batcher } from "../../common/batch.ts";
import type { Logger } from "../../common/logger.ts";
import { mirrorPresence } from "./presence-redis.ts";
import { type RedisClient, script } from "./redis-client.ts";
import { ALL_SHARDS, onlineKey, revokedKey, SHARDS, sessionsKey } from "./redis-keys.ts";
import type { Session, Sessions } from "./sessions.ts";

// The same session, put again by a call whose answer got lost, is done.
const PUT = script(`
local there = redis.call('HGET', KEYS[1], ARGV[1])
if there == ARGV[2] then return 'done' end
local holder = there and cjson.decode(there).sessionId or ''
if holder ~= ARGV[3] then return there end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[4])
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
local there = redis.call('HGET', KEYS[1], ARGV[1])
if not there or cjson.decode(there).sessionId ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], ARGV[3]) end
return 1
`);

export function redisSessions(client: RedisClient, log: Logger): Sessions {
  const mirror = mirrorPresence(client, log);

  async function ofUsers(userIds: readonly number[]): Promise<Map<number, Session[]>> {
    const found = new Map<number, Session[]>();
    await Promise.all(
      client
        .together(userIds, (userId) => userId % SHARDS)
        .map(async (its) => {
          // Joined in Redis and decoded as one text, they would cost it more than is saved here.
          for (const row of await client.scriptOfMany<Buffer[]>(OF_USERS, its.map(sessionsKey))) {
            const session = toSession(row);
            const others = found.get(session.userId);
            if (others) others.push(session);
            else found.set(session.userId, [session]);
          }
        }),
    );
    return found;
  }

  // Every request with a token asks. Each is an event of its own: those of one turn of the event loop ask together, or the
  // first would go ahead alone, and have an append of its own for which all others wait.
  const soon = (begin: () => void) => void setImmediate(begin);
  const askRevoked = async (sessionIds: string[]) => {
    const revoked = Array<boolean>(sessionIds.length);
    const asked = sessionIds.map((sessionId, i) => ({ key: revokedKey(sessionId), i }));
    await Promise.all(
      // Their keys have no shard: in a Cluster each may have a slot of its own.
      client
        .together(asked, ({ i }) => i)
        .map(async (its) => {
          const found = await client.run((redis) => redis.mget(its.map(({ key }) => key)));
          for (const [j, { i }] of its.entries()) revoked[i] = found[j] !== null;
        }),
    );
    return revoked;
  };
  const revocations = new Batcher<string, boolean>(askRevoked, undefined, { soon });

  return {
    ofUsers,
    async put(session, sees) {
      const { userId, slot } = session;
      const keys = [sessionsKey(userId), onlineKey(userId % SHARDS)];
      const row = JSON.stringify(session);
      const answer = await client.script<Buffer | null>(PUT, keys, [slot, row, sees ?? "", userId]);
      if (String(answer) !== "done") return answer && toSession(answer);
      if (sees !== session.sessionId) await mirror(userId);
      return "done";
    },
    async remove(userId, slot, sessionId) {
      const keys = [sessionsKey(userId), onlineKey(userId % SHARDS)];
      const removed = await client.script<number>(REMOVE, keys, [slot, sessionId, userId]);
      if (removed) await mirror(userId);
      return removed === 1;
    },
    async list(after, limit) {
      const userIds = await onlineAfter(client, after, limit);
      const sessions = await ofUsers(userIds);
      // Who logged out since then leaves a page that is shorter, but an empty one would look like the last.
      if (sessions.size > 0 || userIds.length === 0)
        return userIds.flatMap((userId) => sessions.get(userId) ?? []);
      return this.list(userIds.at(-1)!, limit);
    },
    async revoke(sessionId, until) {
      if (until <= Date.now()) return;
      await client.run((redis) => redis.set(revokedKey(sessionId), 1, "PXAT", until));
    },
    isRevoked: (sessionId) => revocations.add(sessionId),
  };
}

function toSession(row: Buffer): Session {
  return JSON.parse(String(row)) as Session;
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
