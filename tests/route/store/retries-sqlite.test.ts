import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Draft } from "../../../route/store/log.ts";
import { prefixOf, RetryHash } from "../../../route/store/retry-hash-sqlite.ts";
import { openSqlite } from "../../../route/store/sqlite.ts";

let directory: string;
let store: Awaited<ReturnType<typeof openSqlite>>;
let hash: RetryHash;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "cim-sqlite-"));
  const file = join(directory, "cim.db");
  await (await openSqlite(file)).close();
  const db = new Database(file);
  hash = new RetryHash(db.query<{ key: Uint8Array }, []>("SELECT key FROM retry_key").get()!.key);
  db.close();
  store = await openSqlite(file);
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

const draft = (messageId: string | undefined, at: number, conversation = "all"): Draft => ({
  conversation,
  senderId: 2,
  messageId: messageId!,
  at,
  bytes: new Uint8Array(),
});

test("messages whose retries have the same hash are told apart, recent or settled, until they are forgotten", async () => {
  // The conversation is the first of its file.
  const [a, b, c] = ofOneHash(1, 2);
  expect([
    await store.log.append([draft(a, 10), draft(b, 20), draft(a, 30)]),
    await store.log.append([draft(b, 30), draft(a, 30)]),
  ]).toEqual([
    [
      { seq: 1, at: 10, retry: false },
      { seq: 2, at: 20, retry: false },
      { seq: 1, at: 10, retry: true },
    ],
    [
      { seq: 2, at: 20, retry: true },
      { seq: 1, at: 10, retry: true },
    ],
  ]);
  store.log.settleNow();
  expect(await store.log.append([draft(c, 30), draft(b, 30), draft(a, 30)])).toEqual([
    { seq: 3, at: 30, retry: false },
    { seq: 2, at: 20, retry: true },
    { seq: 1, at: 10, retry: true },
  ]);
  const trimmed = await store.log.trim(15, 10);
  expect([trimmed, await store.log.append([draft(b, 40), draft(a, 40), draft(c, 40)])]).toEqual([
    1,
    [
      { seq: 2, at: 20, retry: true },
      { seq: 4, at: 40, retry: false },
      { seq: 3, at: 30, retry: true },
    ],
  ]);
});

test("a retry is found in a batch that begins with a new message of another conversation and the same prefix", async () => {
  const [fresh, known] = ofOnePrefix();
  await store.log.append([draft("other", 10, "all"), draft(known, 10, "p2p:1:2")]);
  store.log.settleNow();
  expect(await store.log.append([draft(fresh, 20, "all"), draft(known, 20, "p2p:1:2")])).toEqual([
    { seq: 2, at: 20, retry: false },
    { seq: 1, at: 10, retry: true },
  ]);
});

// A decoder takes a byte order mark off: what was read back was another messageId, and its retry a second message.
test("a retry is found however its messageId begins", async () => {
  await store.log.append([draft("\uFEFFa", 10), draft("a", 20)]);
  store.log.settleNow();
  expect(await store.log.append([draft("\uFEFFa", 30), draft("a", 30)])).toEqual([
    { seq: 1, at: 10, retry: true },
    { seq: 2, at: 20, retry: true },
  ]);
});

/** Two messageIds, of the first and the second conversation. */
function ofOnePrefix(): [string, string] {
  const byPrefix = new Map<number, string>();
  for (let i = 0; ; i++) {
    byPrefix.set(prefixOf(hash.of(1, 2, `${i} first`)), `${i} first`);
    const first = byPrefix.get(prefixOf(hash.of(2, 2, `${i} second`)));
    if (first !== undefined) return [first, `${i} second`];
  }
}

/** Three messageIds. */
function ofOneHash(conversation: number, senderId: number): string[] {
  const byHash = new Map<number, string[]>();
  for (let i = 0; ; i++) {
    const messageId = `${i} end`;
    const those = byHash.getOrInsertComputed(hash.of(conversation, senderId, messageId), () => []);
    those.push(messageId);
    if (those.length === 3) return those;
  }
}
