import { sqliteAccounts } from "./accounts-sqlite.ts";
import { sqliteCursors } from "./cursors-sqlite.ts";
import { memoryLocks } from "./locks-memory.ts";
import { type SqliteLog, sqliteLog } from "./log-sqlite.ts";
import { sqliteSessions } from "./sessions-sqlite.ts";
import { SqliteFile } from "./sqlite-file.ts";
import type { Store } from "./store.ts";
import { memoryThrottle } from "./throttle-memory.ts";

/**
 * The embedded engine: everything in one file, or with ":memory:" in none.
 * @param maxPlaces conversations of which it is remembered where they stand
 * @throws ConfigError, in one line, when the file cannot be used
 */
export async function openSqlite(name: string, maxPlaces?: number): Promise<Store & { log: SqliteLog }> {
  const file = new SqliteFile(name);
  const log = await file.opened(() => sqliteLog(file, maxPlaces));
  const sessions = sqliteSessions(file);
  return {
    accounts: sqliteAccounts(file),
    sessions,
    log,
    cursors: sqliteCursors(file),
    throttle: memoryThrottle(),
    locks: memoryLocks(),
    enter: async (drafts, userIds) => {
      const places = await log.append(drafts);
      return { places, sessions: sessions.ofUsers(userIds) };
    },
    trouble: () => file.trouble(),
    close: async () => {
      log.settleNow();
      await file.close();
    },
  };
}
