import type { Account, Accounts } from "./accounts.ts";
import type { RedisClient } from "./redis-client.ts";
import { accountKey, NEXT_USER_ID, namesKey, passwordKey } from "./redis-keys.ts";

/**
 * An account is whole before its name leads to it: who comes upon it half-made, or was second to register the name,
 * finds nothing or the winner's.
 */
export function redisAccounts(client: RedisClient): Accounts {
  async function byId(userId: number): Promise<Account | null> {
    const [userName, passwordHash] = await client.run((redis) =>
      Promise.all([redis.get(accountKey(userId)), redis.get(passwordKey(userId))]),
    );
    return userName === null ? null : { userId, userName, passwordHash };
  }

  async function byName(userName: string): Promise<Account | null> {
    const userId = await client.run((redis) => redis.hget(namesKey(userName), userName));
    return userId === null ? null : byId(Number(userId));
  }

  // The counter gives each id once; CIM v2 may have given some of them before, which keep their accounts.
  async function reserve(userName: string): Promise<number> {
    for (;;) {
      const userId = await client.run((redis) => redis.incr(NEXT_USER_ID));
      if (await client.run((redis) => redis.setnx(accountKey(userId), userName))) return userId;
    }
  }

  return {
    byId,
    byName,
    async setPassword(userId, passwordHash) {
      await client.run((redis) => redis.set(passwordKey(userId), passwordHash));
    },
    async register(userName, passwordHash) {
      const known = await byName(userName);
      if (known) return { account: known, created: false };
      const userId = await reserve(userName);
      if (passwordHash !== null) await client.run((redis) => redis.set(passwordKey(userId), passwordHash));
      const first = await client.run((redis) => redis.hsetnx(namesKey(userName), userName, userId));
      if (first) return { account: { userId, userName, passwordHash }, created: true };
      await client.run((redis) =>
        Promise.all([redis.del(accountKey(userId)), redis.del(passwordKey(userId))]),
      );
      return { account: (await byName(userName))!, created: false };
    },
  };
}
