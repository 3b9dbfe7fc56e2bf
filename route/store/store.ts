import type { Accounts } from "./accounts.ts";
import type { Cursors } from "./cursors.ts";
import type { Locks } from "./locks.ts";
import type { Log } from "./log.ts";
import type { Sessions } from "./sessions.ts";
import type { Throttle } from "./throttle.ts";

/** What one engine keeps. Each part is an interface of its own; this is only where a driver hands them over. */
export interface Store {
  accounts: Accounts;
  sessions: Sessions;
  log: Log;
  cursors: Cursors;
  throttle: Throttle;
  locks: Locks;
  /** What is wrong with the engine, in words; null when nothing is. */
  trouble(): string | null;
  close(): Promise<void>;
}
