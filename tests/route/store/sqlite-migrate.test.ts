/** Files that earlier versions made, written here as they did, are used on as if this one had made them. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Draft, Stored } from "../../../route/store/log.ts";
import { openSqlite } from "../../../route/store/sqlite.ts";

// As they stood in version 1; version 2 added the journal, and what has settled.
const TABLES = `
CREATE TABLE accounts (
  user_id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_name TEXT NOT NULL UNIQUE,
  password_hash TEXT
) STRICT;
CREATE TABLE sessions (
  user_id INTEGER NOT NULL,
  slot TEXT NOT NULL,
  user_name TEXT NOT NULL,
  session_id TEXT NOT NULL,
  device TEXT NOT NULL,
  server TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  confirmed INTEGER NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (user_id, slot)
) STRICT, WITHOUT ROWID;
CREATE TABLE revoked (
  session_id TEXT PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_until ON revoked (until);
CREATE TABLE conversations (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  head INTEGER NOT NULL,
  low INTEGER,
  high INTEGER
) STRICT;
CREATE INDEX conversations_low ON conversations (low, name) WHERE low IS NOT NULL;
CREATE INDEX conversations_high ON conversations (high, name) WHERE high IS NOT NULL;
CREATE TABLE messages (
  id INTEGER PRIMARY KEY,
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  sender_id INTEGER NOT NULL,
  message_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX place ON messages (conversation, seq);
CREATE UNIQUE INDEX retry ON messages (conversation, sender_id, message_id);
CREATE TABLE marks (
  at INTEGER NOT NULL,
  id INTEGER NOT NULL,
  PRIMARY KEY (at, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE slots (
  user_id INTEGER NOT NULL,
  slot TEXT NOT NULL,
  at INTEGER NOT NULL,
  everyone INTEGER,
  PRIMARY KEY (user_id, slot)
) STRICT, WITHOUT ROWID;
CREATE TABLE cursors (
  user_id INTEGER NOT NULL,
  slot TEXT NOT NULL,
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (user_id, slot, conversation)
) STRICT, WITHOUT ROWID;
CREATE TABLE room (
  id INTEGER PRIMARY KEY,
  filler BLOB NOT NULL
) STRICT;
CREATE INDEX messages_at ON messages (at);
PRAGMA application_id = 0x43494d01;
PRAGMA user_version = 1;
`;
const TO_VERSION_2 = `
CREATE TABLE journal (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pushed INTEGER NOT NULL,
  entries BLOB NOT NULL
) STRICT;
CREATE TABLE slices (
  last_id INTEGER PRIMARY KEY,
  first_id INTEGER NOT NULL,
  oldest INTEGER NOT NULL
) STRICT;
CREATE INDEX slices_oldest ON slices (oldest);
ALTER TABLE conversations ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
UPDATE conversations SET settled = head;
DROP INDEX messages_at;
INSERT INTO slices SELECT max(id), min(id), min(at) FROM messages HAVING count(*) > 0;
PRAGMA user_version = 2;
`;

const EVERYTHING = { messages: 100_000, bytes: Number.POSITIVE_INFINITY };
const LATE = Number.MAX_SAFE_INTEGER;

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cim-sqlite-"));
  file = join(directory, "cim.db");
});
afterEach(() => rmSync(directory, { recursive: true }));

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const seqs = (messages: readonly Stored[]) => messages.map(({ seq }) => seq);
const bytesOf = (seq: number, length = 5) => new Uint8Array(length).fill(seq);
const draft = (conversation: string, seq: number, at = 9000): Draft => ({
  conversation,
  senderId: 1 + (seq % 2),
  messageId: `消息 ${seq}`,
  at,
  bytes: new Uint8Array(),
});

/**
 * Seqs 3 to 300 of `all`, of which 150 to 159 are gone and 200 is large; all three of p2p:1:2, accepted while the clock
 * stepped back; and a conversation of which nothing is left. Some are to be pushed.
 */
function earlier(): Database {
  const db = new Database(file);
  db.run(TABLES);
  db.run("INSERT INTO accounts VALUES (1, 'zhangsan', 'hash')");
  db.run(
    "INSERT INTO conversations VALUES (1, 'all', 300, NULL, NULL), (2, 'p2p:1:2', 3, 1, 2), (3, 'p2p:1:3', 7, 1, 3)",
  );
  const insert = db.prepare(
    "INSERT INTO messages (conversation, seq, sender_id, message_id, at, bytes) VALUES (?, ?, ?, ?, ?, ?)",
  );
  const add = (conversation: number, seq: number, at: number) =>
    insert.run(conversation, seq, 1 + (seq % 2), `消息 ${seq}`, at, bytesOf(seq, seq === 200 ? 60_000 : 5));
  for (const seq of numbers(3, 300)) {
    if (seq < 150 || seq > 159) add(1, seq, 1000 + seq);
    if (seq <= 5) add(2, seq - 2, 1000 - seq);
  }
  db.run("INSERT INTO marks SELECT at, id FROM messages WHERE conversation = 2 OR seq IN (4, 160, 300)");
  db.run("INSERT INTO slots VALUES (2, '', 1, 3)");
  db.run("INSERT INTO cursors VALUES (1, '', 2, 2)");
  return db;
}

/** What a store says of it, after which it is changed. */
async function seen() {
  const store = await openSqlite(file);
  const { log } = store;
  const all = await log.read("all", 0, EVERYTHING);
  const seen = {
    all: seqs(all.messages),
    intact: all.messages.every(({ seq, bytes }) =>
      Buffer.from(bytes).equals(bytesOf(seq, seq === 200 ? 60_000 : 5)),
    ),
    between: seqs(await log.history("all", 163, { messages: 6, bytes: 1000 })),
    marked: (await log.unpushed(LATE, 100)).map(({ conversation, seq }) => `${conversation} ${seq}`),
    unread: await store.cursors.unread(1, "", "", 10),
    account: (await store.accounts.byName("zhangsan"))?.userId,
    again: await log.append([draft("all", 3), draft("all", 300), draft("p2p:1:2", 2), draft("p2p:1:3", 8)]),
    trimmed: [await log.trim(1010, 8), await log.trim(1010, 8)],
    left: [
      seqs((await log.read("all", 0, { messages: 2, bytes: 1000 })).messages),
      await log.head("p2p:1:2"),
    ],
    // Forgotten, and so another message.
    anew: await log.append([draft("all", 3)]),
    markedLater: (await log.unpushed(9000, 100)).map(({ conversation, seq }) => `${conversation} ${seq}`),
  };
  await store.close();
  return seen;
}

const KEPT = {
  all: [...numbers(3, 149), ...numbers(160, 300)],
  intact: true,
  between: [147, 148, 149, 160, 161, 162],
  marked: ["all 4", "all 160", "all 300", "p2p:1:2 1", "p2p:1:2 2", "p2p:1:2 3"],
  unread: [{ conversation: "p2p:1:2", cursor: 2, head: 3 }],
  account: 1,
  again: [
    { seq: 3, at: 1003, retry: true },
    { seq: 300, at: 1300, retry: true },
    { seq: 2, at: 996, retry: true },
    { seq: 8, at: 9000, retry: false },
  ],
  trimmed: [8, 2],
  left: [[10, 11], 3],
  anew: [{ seq: 301, at: 9000, retry: false }],
  markedLater: ["all 160", "all 300"],
};

test("a file of version 1 is brought up to date: messages, holes, marks, retries, cursors", async () => {
  earlier().close();
  expect(await seen()).toEqual(KEPT);
  expect(await (await openSqlite(file)).close()).toBe(undefined);
});

test("a file of version 2 is, too", async () => {
  const db = earlier();
  db.run(TO_VERSION_2);
  db.close();
  expect(await seen()).toEqual(KEPT);
});

test("what version 2 had in its journal when it was killed is read on", async () => {
  const db = earlier();
  db.run(TO_VERSION_2);
  db.run("UPDATE conversations SET head = 302 WHERE id = 1");
  // Of `all` seqs 300, which has settled, to 302: conversation, seq, sender, time (9000), messageId, message.
  const entry = (seq: string, id: string) => `01${seq}01a84602${Buffer.from(id).toString("hex")}03080708`;
  db.run("INSERT INTO journal (pushed, entries) VALUES (0, ?)", [
    Buffer.from(entry("ac02", "m0") + entry("ad02", "m1") + entry("ae02", "m2"), "hex"),
  ]);
  db.close();
  const store = await openSqlite(file);
  const m2 = { conversation: "all", senderId: 1, messageId: "m2", at: 9500, bytes: new Uint8Array() };
  expect([await store.log.read("all", 299, EVERYTHING), await store.log.append([m2])]).toEqual([
    {
      after: 299,
      through: 302,
      head: 302,
      messages: [
        { conversation: "all", seq: 300, bytes: bytesOf(300) },
        { conversation: "all", seq: 301, bytes: new Uint8Array([8, 7, 8]) },
        { conversation: "all", seq: 302, bytes: new Uint8Array([8, 7, 8]) },
      ],
    },
    [{ seq: 302, at: 9000, retry: true }],
  ]);
  await store.close();
});
