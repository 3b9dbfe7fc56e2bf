import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Draft } from "../../../route/store/log.ts";
import { RetryHash } from "../../../route/store/retry-hash-sqlite.ts";
import { openSqlite } from "../../../route/store/sqlite.ts";

test("messages whose retries have the same hash are told apart, recent or settled, until they are forgotten", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cim-sqlite-"));
  const file = join(directory, "cim.db");
  await (await openSqlite(file)).close();
  const db = new Database(file);
  const { key } = db.query<{ key: Uint8Array }, []>("SELECT key FROM retry_key").get()!;
  db.close();
  // The conversation is the first of its file.
  const [a, b, c] = ofOneHash(new RetryHash(key), 1, 2).map(
    (messageId): Draft => ({ conversation: "all", senderId: 2, messageId, at: 10, bytes: new Uint8Array() }),
  );
  const at = (draft: Draft | undefined, at: number): Draft => ({ ...draft!, at });

  const store = await openSqlite(file);
  expect([
    await store.log.append([at(a, 10), at(b, 20), at(a, 30)]),
    await store.log.append([at(b, 30), at(a, 30)]),
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
  expect(await store.log.append([at(c, 30), at(b, 30), at(a, 30)])).toEqual([
    { seq: 3, at: 30, retry: false },
    { seq: 2, at: 20, retry: true },
    { seq: 1, at: 10, retry: true },
  ]);
  expect([await store.log.trim(15, 10), await store.log.append([at(b, 40), at(a, 40), at(c, 40)])]).toEqual([
    1,
    [
      { seq: 2, at: 20, retry: true },
      { seq: 4, at: 40, retry: false },
      { seq: 3, at: 30, retry: true },
    ],
  ]);
  await store.close();
  rmSync(directory, { recursive: true });
});

/** Three messageIds. */
function ofOneHash(hash: RetryHash, conversation: number, senderId: number): string[] {
  const byHash = new Map<number, string[]>();
  for (let i = 0; ; i++) {
    const messageId = `${i} end`;
    const those = byHash.getOrInsertComputed(hash.of(conversation, senderId, messageId), () => []);
    those.push(messageId);
    if (those.length === 3) return those;
  }
}
