import type { Logger } from "../../common/logger.ts";
import type { RedisClient } from "./redis-client.ts";
import { LOGIN_STATUS, routeKey, sessionsKey } from "./redis-keys.ts";
import type { Session } from "./sessions.ts";

const ATTEMPTS = 5;

/**
 * Tells CIM v2 processes, and whoever looks, what they expect to read: which server a user is on, and that it is
 * logged in. Those keys lie in other slots than the session, so they follow it: written as it was read, and again
 * if it changed meanwhile. Whoever writes last has read last.
 */
export function mirrorPresence(client: RedisClient, log: Logger): (userId: number) => Promise<void> {
  async function newest(userId: number): Promise<string | null> {
    const rows = await client.run((redis) => redis.hvals(sessionsKey(userId)));
    const sessions = rows.map((row) => JSON.parse(row) as Session);
    return sessions.sort((a, b) => b.since - a.since)[0]?.server ?? null;
  }

  return async (userId) => {
    try {
      let server = await newest(userId);
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const shown = server;
        await client.run(async (redis) => {
          if (shown === null)
            await Promise.all([redis.del(routeKey(userId)), redis.srem(LOGIN_STATUS, userId)]);
          else await Promise.all([redis.set(routeKey(userId), shown), redis.sadd(LOGIN_STATUS, userId)]);
        });
        server = await newest(userId);
        if (server === shown) return;
      }
    } catch (error) {
      // The session itself stands; the next one of this user mends what is shown of it.
      log.warn({ userId, error: String(error) }, "cannot show CIM v2 where a user is");
    }
  };
}
