/** More conversations than are remembered. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Draft } from "../../../route/store/log.ts";
import { openSqlite } from "../../../route/store/sqlite.ts";

const REMEMBERED = 100;
const EVERYTHING = { messages: 1000, bytes: 1_000_000 };

let directory: string;
let store: Awaited<ReturnType<typeof openSqlite>>;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "cim-sqlite-"));
  store = await openSqlite(join(directory, "cim.db"), REMEMBERED);
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

const draft = (peer: number, messageId = "m"): Draft => ({
  conversation: `p2p:1:${peer}`,
  senderId: 1,
  messageId,
  at: 1000,
  bytes: new Uint8Array(),
});
const seqsWith = async (peer: number, of = store) => {
  const { head, messages } = await of.log.read(`p2p:1:${peer}`, 0, EVERYTHING);
  return { head, seqs: messages.map(({ seq }) => seq) };
};

/** A message with each of the peers 2, 3, …, which has settled. */
async function talkWith(peers: number): Promise<void> {
  await store.log.append(Array.from({ length: peers }, (_, i) => draft(2 + i)));
  store.log.settleNow();
}

// It was forgotten for the new one before its message was there: who read was told that there was none, and the next one
// was put in its place.
test("a conversation that goes on together with a new one is not forgotten for it", async () => {
  await talkWith(REMEMBERED);
  await store.log.append([draft(2, "again"), draft(2 + REMEMBERED)]);
  expect(await seqsWith(2)).toEqual({ head: 2, seqs: [1, 2] });
  await store.log.append([draft(2, "and again")]);
  store.log.settleNow();
  expect(await seqsWith(2)).toEqual({ head: 3, seqs: [1, 2, 3] });
});

test("after a crash the messages of all that had not settled are there, however many conversations they are of", async () => {
  await talkWith(REMEMBERED + 10);
  const last = 1 + REMEMBERED + 10;
  await store.log.append(Array.from({ length: REMEMBERED + 10 }, (_, i) => draft(last - i, "again")));
  for (const file of ["cim.db", "cim.db-wal"])
    cpSync(join(directory, file), join(directory, `after-${file}`));
  const after = await openSqlite(join(directory, "after-cim.db"), REMEMBERED);
  expect([await seqsWith(2, after), await seqsWith(last, after)]).toEqual([
    { head: 2, seqs: [1, 2] },
    { head: 2, seqs: [1, 2] },
  ]);
  await after.close();
});
