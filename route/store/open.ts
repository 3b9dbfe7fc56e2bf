import { join } from "node:path";
import type { Config } from "../../common/config.ts";
import type { Logger } from "../../common/logger.ts";
import { parseRedisUrl } from "./redis-url.ts";
import { openSqlite } from "./sqlite.ts";
import type { Store } from "./store.ts";

/**
 * Opens the engine that CIM_STORE names.
 * @throws ConfigError, in one line, when it cannot be used
 */
export async function openStore(config: Pick<Config, "store" | "data">, log: Logger): Promise<Store> {
  const url = urlOf(config);
  if (isShared(config)) {
    // To load it takes as long as to start all that does without.
    const { openRedis } = await import("./redis.ts");
    return openRedis(url, log);
  }
  return openSqlite(url === "memory:" ? ":memory:" : url.slice("sqlite:".length));
}

/** Whether other processes may use the same engine at the same time. */
export function isShared(config: Pick<Config, "store">): boolean {
  return config.store.startsWith("redis");
}

/** Where everything is kept, without the password that may be part of it. */
export function shownStore(config: Pick<Config, "store" | "data">): string {
  return isShared(config) ? parseRedisUrl(config.store).shown : urlOf(config);
}

function urlOf(config: Pick<Config, "store" | "data">): string {
  return config.store || `sqlite:${join(config.data, "cim.db")}`;
}
