/** The tables of a database file. A change is one of their version, too (sqlite-schema.ts). */

/** On a new message's way to where it stays. */
export const JOURNAL = `
CREATE TABLE journal (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pushed INTEGER NOT NULL,
  entries BLOB NOT NULL
) STRICT;
`;

/** Where it stays. */
export const SETTLED = `
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  conversation INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  oldest INTEGER NOT NULL,
  entries BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_place ON runs (conversation, last);
CREATE TABLE slices (
  last_id INTEGER PRIMARY KEY,
  first_id INTEGER NOT NULL,
  oldest INTEGER NOT NULL
) STRICT;
CREATE INDEX slices_oldest ON slices (oldest);
CREATE TABLE retries (
  conversation INTEGER NOT NULL,
  hash INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (conversation, hash, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE retry_key (
  id INTEGER PRIMARY KEY,
  key BLOB NOT NULL
) STRICT;
INSERT INTO retry_key VALUES (1, randomblob(8));
CREATE TABLE marks (
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX marks_at ON marks (at);
`;

/** Users whose tokens from before a generation are refused, but for those of one login. */
export const SIGN_OUTS = `
CREATE TABLE signouts (
  user_id INTEGER PRIMARY KEY,
  generation INTEGER NOT NULL,
  spared TEXT NOT NULL,
  until INTEGER NOT NULL
) STRICT;
CREATE INDEX signouts_until ON signouts (until);
`;

// New messages are rows of `journal` first, a batch a row, and settle later (settle-sqlite.ts): those of a conversation
// up to its `settled` have. `pushed` is the last row before which nothing is marked as to be pushed; of what has
// settled, `marks` says so. A row of `runs` is messages of one conversation, from seq `first` to `last`; a retry is found
// by its hash in `retries`. The runs that settled together are a row of `slices`, with the time of the oldest message
// that is left, so that retention finds it: where runs are short, an index of the times costs as much as all the rest.
//
// Conversations are never deleted: `head` is where seqs go on. `low` and `high` are the members of a private one.
// A row of `slots` says that a device was here; `everyone` is its cursor of the conversation of all, null without.
export const TABLES = `${JOURNAL}${SETTLED}${SIGN_OUTS}
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
  high INTEGER,
  settled INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX conversations_low ON conversations (low, name) WHERE low IS NOT NULL;
CREATE INDEX conversations_high ON conversations (high, name) WHERE high IS NOT NULL;
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
`;
