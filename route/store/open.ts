import { join } from "node:path";
import type { Config } from "../../common/config.ts";
import { openSqlite } from "./sqlite.ts";
import type { Store } from "./store.ts";

/** Opens the engine that CIM_STORE names. */
export function openStore(config: Pick<Config, "store" | "data">): Promise<Store> {
  const url = config.store || `sqlite:${join(config.data, "cim.db")}`;
  return openSqlite(url === "memory:" ? ":memory:" : url.slice("sqlite:".length));
}
