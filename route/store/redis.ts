import { ConfigError } from "../../common/config.ts";
import type { Logger } from "../../common/logger.ts";
import { CimError } from "../../proto/status.ts";
import { redisAccounts } from "./accounts-redis.ts";
import { redisCursors } from "./cursors-redis.ts";
import { redisLocks } from "./locks-redis.ts";
import { redisLog } from "./log-redis.ts";
import { migrateFromVersion1 } from "./migrate-redis.ts";
import { RedisClient } from "./redis-client.ts";
import { VERSION } from "./redis-keys.ts";
import { parseRedisUrl } from "./redis-url.ts";
import { redisSessions } from "./sessions-redis.ts";
import type { Store } from "./store.ts";
import { redisThrottle } from "./throttle-redis.ts";

/** The version of the keys (docs/redis-keys.md). */
const KEYS_VERSION = "3";
const OLDEST_REDIS = [6, 2] as const;
const PATIENCE_MS = 10 * 1000;

/**
 * The distributed engine: accounts, sessions and logs in Redis, shared by all routes.
 * @param patienceMs how long a Redis that does not answer is waited for. Default 10 s
 * @throws ConfigError, in one line without the password, when it cannot be used
 */
export async function openRedis(url: string, log: Logger, patienceMs = PATIENCE_MS): Promise<Store> {
  const address = parseRedisUrl(url);
  const client = new RedisClient(address, log);
  try {
    await client.connect(patienceMs);
    await checkRedis(client, address.shown, log);
  } catch (error) {
    await client.close();
    if (!(error instanceof CimError)) throw error;
    throw new ConfigError(`CIM_STORE=${address.shown}: ${error.message}`, { cause: error });
  }
  const sessions = redisSessions(client, log);
  const { append, ...logs } = redisLog(client);
  return {
    accounts: redisAccounts(client),
    sessions,
    log: { ...logs, append: async (drafts) => (await append(drafts)).places },
    cursors: redisCursors(client),
    throttle: redisThrottle(client),
    locks: redisLocks(client),
    enter: async (drafts, userIds) => {
      // One connection brings both to Redis in this order. A Cluster has one for each node.
      const appending = append(drafts);
      const asked = client.address.kind === "cluster" ? null : sessions.ofUsers(userIds);
      // Nobody asks for it if the messages do not stand.
      asked?.catch(() => undefined);
      const { places, atOnce } = await appending;
      return { places, sessions: atOnce && asked ? asked : sessions.ofUsers(userIds) };
    },
    trouble: () => client.trouble(),
    close: () => client.close(),
  };
}

async function checkRedis(client: RedisClient, shown: string, log: Logger): Promise<void> {
  const info = await client.run((redis) => redis.info());
  const of = (field: string) => RegExp(`^${field}:(.*?)\r?$`, "m").exec(info)?.[1] ?? "";
  const [major = 0, minor = 0] = of("redis_version").split(".").map(Number);
  const [oldest, oldestMinor] = OLDEST_REDIS;
  if (major < oldest || (major === oldest && minor < oldestMinor)) {
    throw new ConfigError(
      `CIM_STORE=${shown}: Redis ${of("redis_version")}, want ${OLDEST_REDIS.join(".")} or newer`,
    );
  }
  await checkVersion(client, shown, log);
  if (of("aof_enabled") === "0") {
    log.warn(
      { redis: shown },
      "redis keeps no append-only file: accepted messages are lost when it is killed",
    );
  }
  if (!/^(noeviction)?$/.test(of("maxmemory_policy")) && of("maxmemory") !== "0") {
    log.warn(
      { redis: shown, policy: of("maxmemory_policy") },
      "redis may forget accepted messages when it is full: want maxmemory-policy noeviction",
    );
  }
}

async function checkVersion(client: RedisClient, shown: string, log: Logger): Promise<void> {
  await client.run((redis) => redis.setnx(VERSION, KEYS_VERSION));
  const version = await client.run((redis) => redis.get(VERSION));
  if (version === KEYS_VERSION) return;
  if (version !== "1" && version !== "2") {
    throw new ConfigError(
      `CIM_STORE=${shown}: has keys of version ${version}, this CIM knows ${KEYS_VERSION}: start a newer CIM, or name another Redis`,
    );
  }
  log.warn(
    { redis: shown, from: version, to: KEYS_VERSION },
    "redis has older keys: they are brought up to date",
  );
  // A mark of version 2 is one of a single run.
  if (version === "1") await migrateFromVersion1(client);
  await client.run((redis) => redis.set(VERSION, KEYS_VERSION));
}
