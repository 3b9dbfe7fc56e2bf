import { join } from "node:path";
import type { Config } from "../../common/config.ts";
import type { Logger } from "../../common/logger.ts";
import { openRedis } from "./redis.ts";
import { openSqlite } from "./sqlite.ts";
import type { Store } from "./store.ts";

/**
 * Opens the engine that CIM_STORE names.
 * @throws ConfigError, in one line, when it cannot be used
 */
export function openStore(config: Pick<Config, "store" | "data">, log: Logger): Promise<Store> {
  const url = config.store || `sqlite:${join(config.data, "cim.db")}`;
  if (url.startsWith("redis")) return openRedis(url, log);
  return openSqlite(url === "memory:" ? ":memory:" : url.slice("sqlite:".length));
}
