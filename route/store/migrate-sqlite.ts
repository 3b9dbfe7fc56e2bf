/** How the tables of earlier versions become those of this one, within one transaction. */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";
import { maxEntryHead, writeEntryHead } from "./entry-sqlite.ts";
import { SettledRetries } from "./retries-sqlite.ts";
import { Runs, RunWriter } from "./runs-sqlite.ts";
import type { SqliteFile } from "./sqlite-file.ts";
import { JOURNAL, SETTLED, SIGN_OUTS } from "./tables-sqlite.ts";

/** Of version 1, which had no journal, all messages have settled. */
const FROM_VERSION_1 = `${JOURNAL}
ALTER TABLE conversations ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
UPDATE conversations SET settled = head;
`;

/** Up to version 2 a message was a row of its own; the journal is as it was. */
const FROM_VERSION_2 = `
ALTER TABLE marks RENAME TO marks_2;
DROP TABLE IF EXISTS slices;
${SETTLED}${SIGN_OUTS}
INSERT INTO marks SELECT m.conversation, m.seq, m.at FROM marks_2 k JOIN messages m ON m.id = k.id;
DROP TABLE marks_2;
`;

interface Message {
  conversation: number;
  seq: number;
  senderId: number;
  messageId: string;
  at: number;
  bytes: Uint8Array;
}

/** Messages of which retention looks at the times at once, as of those that settle together. */
const SLICE = 1024;

export function bringUpToDate(db: Database, version: 1 | 2): void {
  if (version === 1) db.run(FROM_VERSION_1);
  db.run(FROM_VERSION_2);
  const statements: Statement[] = [];
  toRuns({
    prepare: <Row, Params extends SQLQueryBindings[]>(sql: string) => {
      const statement = db.prepare(sql);
      statements.push(statement);
      return statement as unknown as Statement<Row, Params>;
    },
  });
  for (const statement of statements) statement.finalize();
  db.run("DROP TABLE messages");
}

function toRuns(file: Pick<SqliteFile, "prepare">): void {
  const messages = file.prepare<Message, []>(
    `SELECT conversation, seq, sender_id AS senderId, message_id AS messageId, at, bytes
     FROM messages INDEXED BY place ORDER BY conversation, seq`,
  );
  const runs = new RunWriter(file);
  const retries = new SettledRetries(file, new Runs(file));
  let count = 0;
  runs.begin();
  for (const message of messages.iterate()) {
    const { conversation, seq, senderId, messageId, at, bytes } = message;
    const entry = Buffer.alloc(maxEntryHead(messageId) + bytes.length);
    const content = writeEntryHead(entry, 0, message, seq, bytes.length);
    entry.set(bytes, content);
    runs.add(conversation, seq, at, entry, 0, content + bytes.length);
    retries.add(conversation, retries.hash.of(conversation, senderId, messageId), seq);
    if (++count % SLICE > 0) continue;
    runs.end();
    runs.begin();
  }
  runs.end();
}
