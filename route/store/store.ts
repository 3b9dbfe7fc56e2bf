import type { Accounts } from "./accounts.ts";
import type { Cursors } from "./cursors.ts";
import type { Locks } from "./locks.ts";
import type { Appended, Draft, Log } from "./log.ts";
import type { Session, Sessions } from "./sessions.ts";
import type { Throttle } from "./throttle.ts";

/** Messages that stand in the log, and who was there then. */
export interface Entered {
  places: Appended[];
  /** As they were once all of it stood. Rejects alone: the messages are accepted nevertheless. */
  sessions: Promise<ReadonlyMap<number, readonly Session[]>>;
}

/** What one engine keeps. Each part is an interface of its own; this is only where a driver hands them over. */
export interface Store {
  accounts: Accounts;
  sessions: Sessions;
  log: Log;
  cursors: Cursors;
  throttle: Throttle;
  locks: Locks;
  /**
   * `log.append`, and after it `sessions.ofUsers`, in as few turns as the engine needs: who has no session then has one
   * later, and finds the messages in the log.
   */
  enter(drafts: readonly Draft[], userIds: readonly number[]): Promise<Entered>;
  /** What is wrong with the engine, in words; null when nothing is. */
  trouble(): string | null;
  close(): Promise<void>;
}
