/** How messages get from the journal to their table, and what a crash in between leaves. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Draft, Stored } from "../../../route/store/log.ts";
import { openSqlite } from "../../../route/store/sqlite.ts";
import type { Store } from "../../../route/store/store.ts";

const EVERYTHING = { messages: 100_000, bytes: Number.POSITIVE_INFINITY };
const LATE = Number.MAX_SAFE_INTEGER;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cim-sqlite-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const drafts = (conversation: string, ...ats: number[]): Draft[] =>
  ats.map((at) => ({
    conversation,
    senderId: 1,
    messageId: `m${at}`,
    at,
    bytes: new Uint8Array([at % 251]),
  }));
const seqs = (messages: readonly Stored[]) => messages.map(({ seq }) => seq);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const all = async (store: Store) => seqs((await store.log.read("all", 0, EVERYTHING)).messages);

/** The file as a crash would leave it now. */
async function crashed(): Promise<Store> {
  for (const file of ["cim.db", "cim.db-wal"])
    cpSync(join(directory, file), join(directory, `after-${file}`));
  return openSqlite(join(directory, "after-cim.db"));
}

test("after a crash everything accepted is there, in whichever half of its way to the table it was", async () => {
  const store = await openSqlite(join(directory, "cim.db"));
  await store.log.append(drafts("all", ...numbers(1, 10)));
  store.log.settleNow();
  await store.log.append(drafts("all", ...numbers(11, 20)));
  const after = await crashed();
  await store.close();
  expect([
    await all(after),
    await after.log.append(drafts("all", 5, 15, 21)),
    seqs(await after.log.history("all", 12, { messages: 4, bytes: 1000 })),
  ]).toEqual([
    numbers(1, 20),
    [
      { seq: 5, at: 5, retry: true },
      { seq: 15, at: 15, retry: true },
      { seq: 21, at: 21, retry: false },
    ],
    [8, 9, 10, 11],
  ]);
  await after.close();
});

test("after a crash what was not pushed is to be pushed, and what was pushed well before it is not", async () => {
  const store = await openSqlite(join(directory, "cim.db"));
  await store.log.append(drafts("all", ...numbers(1, 10)));
  // One that is never pushed settles with its mark.
  await store.log.pushed(numbers(1, 9).map((seq) => ({ conversation: "all", seq })));
  store.log.settleNow();
  await store.log.append(drafts("all", ...numbers(11, 20)));
  await store.log.pushed(numbers(11, 20).map((seq) => ({ conversation: "all", seq })));
  await store.log.append(drafts("all", ...numbers(21, 30)));
  const after = await crashed();
  await store.close();
  expect(seqs(await after.log.unpushed(LATE, 100))).toEqual([10, ...numbers(21, 30)]);
  await after.log.pushed([10, 25].map((seq) => ({ conversation: "all", seq })));
  await after.close();
  const later = await openSqlite(join(directory, "after-cim.db"));
  expect(seqs(await later.log.unpushed(LATE, 100))).toEqual([...numbers(21, 24), ...numbers(26, 30)]);
  await later.close();
});

test("many messages settle by themselves while others come, without a hole, a double or another order", async () => {
  const store = await openSqlite(join(directory, "cim.db"));
  for (let batch = 0; batch < 100; batch++) {
    const first = 400 * batch;
    await store.log.append([
      ...drafts("all", ...numbers(first + 1, first + 400)),
      ...drafts(`p2p:1:${2 + (batch % 7)}`, first),
    ]);
    // Lets a slice settle.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const after = await crashed();
  expect([await all(store), await all(after)]).toEqual([numbers(1, 40_000), numbers(1, 40_000)]);
  await after.close();
  await store.close();
});

// What was left of a conversation used to be counted once: the rest of it "settled" again, beyond its last message.
test("what settles little by little may settle at once meanwhile", async () => {
  const store = await openSqlite(":memory:");
  await store.log.append(drafts("all", ...numbers(1, 3000)));
  // Makes all of it settle first.
  const trimmed = store.log.trim(2, 10);
  store.log.settleNow();
  expect([await trimmed, await store.log.append(drafts("all", 3001)), await all(store)]).toEqual([
    1,
    [{ seq: 3001, at: 3001, retry: false }],
    numbers(2, 3001),
  ]);
  await store.close();
});

test("retention after a clock stepped back takes what is older, wherever it stands, and new messages go on", async () => {
  const store = await openSqlite(join(directory, "cim.db"));
  await store.log.append(drafts("all", 30, 20, 10));
  const first = await store.log.trim(15, 10);
  await store.log.append(drafts("all", 12));
  const left = await all(store);
  expect([first, left, await store.log.trim(21, 10), await all(store)]).toEqual([1, [1, 2, 4], 2, [1]]);
  await store.close();
});

test("retention that takes a newer message first, since the clock stepped back, leaves the older one to be pushed", async () => {
  const store = await openSqlite(":memory:");
  await store.log.append(drafts("all", 20));
  store.log.settleNow();
  await store.log.append(drafts("all", 10));
  store.log.settleNow();
  expect([await store.log.trim(30, 1), await all(store), seqs(await store.log.unpushed(LATE, 10))]).toEqual([
    1,
    [1],
    [1],
  ]);
  await store.close();
});

test("of what retention forgot, nothing is left in the file", async () => {
  const store = await openSqlite(join(directory, "cim.db"));
  for (let batch = 0; batch < 20; batch++) {
    await store.log.append([
      ...drafts("all", ...numbers(batch * 10, batch * 10 + 9)),
      ...drafts("p2p:1:2", batch),
    ]);
    if (batch % 2) store.log.settleNow();
  }
  expect([await store.log.trim(1000, 100), await store.log.trim(1000, 1000)]).toEqual([100, 120]);
  await store.close();
  const file = new Database(join(directory, "cim.db"));
  const rows = ["journal", "runs", "slices", "retries", "marks"].map(
    (table) => file.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()!.n,
  );
  file.close();
  expect(rows).toEqual([0, 0, 0, 0, 0]);
});
