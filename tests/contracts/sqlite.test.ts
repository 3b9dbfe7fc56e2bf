/** The embedded engine, in a file and in memory, keeps every contract of a store. */
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqlite } from "../../route/store/sqlite.ts";
import type { Store } from "../../route/store/store.ts";
import { accountsContract } from "./accounts.ts";
import { cursorsContract } from "./cursors.ts";
import { locksContract } from "./locks.ts";
import { logContract } from "./log.ts";
import { sessionsContract } from "./sessions.ts";
import { throttleContract } from "./throttle.ts";

const directory = mkdtempSync(join(tmpdir(), "cim-sqlite-"));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
const engines: [string, () => Promise<Store>][] = [
  ["a SQLite file", () => openSqlite(join(directory, `${++files}.db`))],
  ["SQLite in memory", () => openSqlite(":memory:")],
  ["SQLite whose messages settle at once", openSettling],
];

/** As late after each message as it may be: nothing of the log is in memory any more. */
async function openSettling(): Promise<Store> {
  const store = await openSqlite(":memory:");
  const { log } = store;
  const append: Store["log"]["append"] = async (drafts) => {
    const appended = await log.append(drafts);
    log.settleNow();
    return appended;
  };
  return { ...store, log: { ...log, append } };
}

for (const [name, open] of engines) {
  for (const contract of [
    accountsContract,
    sessionsContract,
    logContract,
    cursorsContract,
    throttleContract,
    locksContract,
  ]) {
    contract(name, open);
  }
}
