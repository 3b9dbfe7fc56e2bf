import type { Database } from "bun:sqlite";
import { ConfigError } from "../../common/config.ts";

/** The version of the tables below, kept in the file as user_version. A change raises it and says how to get there. */
export const SCHEMA_VERSION = 3;

/** "CIM\1" in the file's header, so that a database of something else is not written to. */
const APPLICATION_ID = 0x43494d01;

/** On a new message's way to its table. */
const JOURNAL = `
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
`;

/** Users whose tokens from before a generation are refused, but for those of one login. */
const SIGN_OUTS = `
CREATE TABLE signouts (
  user_id INTEGER PRIMARY KEY,
  generation INTEGER NOT NULL,
  spared TEXT NOT NULL,
  until INTEGER NOT NULL
) STRICT;
CREATE INDEX signouts_until ON signouts (until);
`;

// New messages are rows of `journal` first, a batch a row, and settle in `messages` later (recent-sqlite.ts): those of
// a conversation up to its `settled` have. `pushed` is the last row before which nothing is marked as to be pushed; of
// what has settled, `marks` says so. What settled together is a row of `slices`, with the time of the oldest that is
// left, so that retention finds it: an index of the times costs as much as all the rest.
//
// Conversations are never deleted: `head` is where seqs go on. `low` and `high` are the members of a private one.
// A row of `slots` says that a device was here; `everyone` is its cursor of the conversation of all, null without.
const TABLES = `${JOURNAL}
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
${SIGN_OUTS}
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
`;

const FROM_VERSION_1 = `${JOURNAL}
ALTER TABLE conversations ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
UPDATE conversations SET settled = head;
DROP INDEX messages_at;
INSERT INTO slices SELECT max(id), min(id), min(at) FROM messages HAVING count(*) > 0;
`;

/**
 * Makes the tables in an empty database, brings those of an older version up to date, leaves those of this version alone.
 * @throws ConfigError for a database of something else, or of a CIM newer than this one
 */
export function ensureSchema(db: Database, file: string): void {
  // Immediate: of two processes that start at once on a new file, the second finds the tables made.
  db.transaction(() => {
    const version = pragma(db, "user_version");
    if (version === SCHEMA_VERSION && pragma(db, "application_id") === APPLICATION_ID) return;
    if ((version === 1 || version === 2) && pragma(db, "application_id") === APPLICATION_ID) {
      if (version === 1) db.run(FROM_VERSION_1);
      db.run(SIGN_OUTS);
      db.run(`PRAGMA user_version = ${SCHEMA_VERSION}`);
      return;
    }
    const tables = db.query<{ n: number }, []>("SELECT count(*) AS n FROM sqlite_schema").get()!.n;
    if (pragma(db, "application_id") === APPLICATION_ID) {
      throw new ConfigError(
        `CIM_STORE: ${file} has tables of version ${version}, this CIM knows ${SCHEMA_VERSION}: start a newer CIM, or name another file (CIM_STORE, CIM_DATA)`,
      );
    }
    if (tables > 0 || version !== 0) {
      throw new ConfigError(
        `CIM_STORE: ${file} is a database of something else: name another file (CIM_STORE, CIM_DATA)`,
      );
    }
    db.run(TABLES);
    db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
    db.run(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  }).immediate();
}

function pragma(db: Database, name: "user_version" | "application_id"): number {
  return Object.values(db.query<Record<string, number>, []>(`PRAGMA ${name}`).get()!)[0]!;
}
