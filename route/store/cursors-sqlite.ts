import { setImmediate } from "node:timers/promises";
import { ALL } from "../../proto/conversation.ts";
import type { Cursors, Unread } from "./cursors.ts";
import type { SqliteFile } from "./sqlite-file.ts";

/** Rows that `trim` looks at before it lets others have their turn. */
const TRIM_SLICE = 500;

const NOWHERE = { id: 0, head: 0 };

interface SlotKey {
  userId: number;
  slot: string;
}

export function sqliteCursors(file: SqliteFile): Cursors {
  const conversation = file.prepare<{ id: number; head: number; settled: number }, [string]>(
    "SELECT id, head, settled FROM conversations WHERE name = ?",
  );
  const slot = file.prepare<{ everyone: number | null }, [number, string]>(
    "SELECT everyone FROM slots WHERE user_id = ? AND slot = ?",
  );
  const join = file.prepare<unknown, [number, string, number, number]>(
    `INSERT INTO slots (user_id, slot, at, everyone) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (user_id, slot) DO UPDATE SET at = ?3, everyone = coalesce(everyone, ?4)`,
  );
  const leave = file.prepare<unknown, [number, string]>(
    "UPDATE slots SET everyone = NULL WHERE user_id = ? AND slot = ?",
  );
  const ackAll = file.prepare<unknown, [number, number, number, string]>(
    "UPDATE slots SET everyone = ?1, at = ?2 WHERE user_id = ?3 AND slot = ?4 AND everyone < ?1",
  );
  const ack = file.prepare<unknown, [number, string, number, number]>(
    `INSERT INTO cursors (user_id, slot, conversation, seq) VALUES (?, ?, ?, ?)
     ON CONFLICT (user_id, slot, conversation) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq`,
  );
  const copyFurthest = file.prepare<unknown, [number, string]>(
    `INSERT INTO cursors (user_id, slot, conversation, seq)
     SELECT user_id, ?2, conversation, seq FROM cursors WHERE user_id = ?1 AND slot = ''
     ON CONFLICT (user_id, slot, conversation) DO UPDATE SET seq = max(seq, excluded.seq)`,
  );
  const cursor = file.prepare<{ seq: number }, [number, string, number]>(
    "SELECT seq FROM cursors WHERE user_id = ? AND slot = ? AND conversation = ?",
  );
  const kept = file.prepare<unknown, [number, number]>(
    "SELECT 1 FROM runs WHERE conversation = ? AND last > ? LIMIT 1",
  );
  // In the order of the index, by name. With ORDER BY, a join, or a bare parameter as limit SQLite compiles the statement anew at
  // each call: 40 µs instead of 2.
  const [unreadAsLow, unreadAsHigh] = (["low", "high"] as const).map((member) =>
    file.prepare<Unread, [number, string, string, number]>(
      `SELECT conversation, cursor, head FROM (
         SELECT c.id, c.name AS conversation, c.head, c.settled, coalesce((
           SELECT k.seq FROM cursors k WHERE k.user_id = ?1 AND k.slot = ?2 AND k.conversation = c.id), 0) AS cursor
         FROM conversations c INDEXED BY conversations_${member} WHERE c.${member} = ?1 AND c.name > ?3) AS u
       WHERE u.head > u.cursor AND (u.head > u.settled OR EXISTS (
         SELECT 1 FROM runs r WHERE r.conversation = u.id AND r.last > u.cursor))
       LIMIT cast(?4 AS INTEGER)`,
    ),
  );
  const trimCursors = prepareTrimCursors(file);
  const trimSlots = prepareTrimSlots(file);

  function unreadOfAll(userId: number, name: string, from: string): Unread[] {
    const cursor = slot.get(userId, name)?.everyone ?? null;
    const all = conversation.get(ALL);
    if (cursor === null || all === null || from >= ALL || all.head <= cursor) return [];
    const isKept = all.head > all.settled || kept.get(all.id, cursor) !== null;
    return isKept ? [{ conversation: ALL, cursor, head: all.head }] : [];
  }

  return {
    join: (userId, name) =>
      file.write(() => {
        if (name !== "" && slot.get(userId, name) === null) copyFurthest.run(userId, name);
        join.run(userId, name, Date.now(), conversation.get(ALL)?.head ?? 0);
      }),
    leave: (userId, name) =>
      file.write(() => {
        leave.run(userId, name);
      }),
    ack: async (acks) => {
      if (acks.length === 0) return;
      const now = Date.now();
      await file.write(() => {
        for (const { userId, slot, conversation: name, seq } of acks) {
          const { id, head } = conversation.get(name) ?? NOWHERE;
          if (seq <= 0 || seq > head) continue;
          if (name === ALL) ackAll.run(seq, now, userId, slot);
          else for (const follower of new Set([slot, ""])) ack.run(userId, follower, id, seq);
        }
      });
    },
    cursor: (userId, name, of) =>
      file.read(() => {
        if (of === ALL) return slot.get(userId, name)?.everyone ?? 0;
        return cursor.get(userId, name, conversation.get(of)?.id ?? 0)?.seq ?? 0;
      }),
    unread: (userId, name, from, limit) =>
      file.read(() => {
        const found = unreadOfAll(userId, name, from);
        found.push(...unreadAsLow!.all(userId, name, from, limit));
        found.push(...unreadAsHigh!.all(userId, name, from, limit));
        return found.sort((a, b) => (a.conversation < b.conversation ? -1 : 1)).slice(0, limit);
      }),
    trim: async (at) => {
      await trimCursors();
      await trimSlots(at);
    },
  };
}

// A cursor with nothing kept at or before it says no more than none: reading after 0 starts at the same message.
function prepareTrimCursors(file: SqliteFile): () => Promise<void> {
  type Row = SlotKey & { conversation: number; dead: number };
  const look = file.prepare<Row, [number, string, number, number]>(
    `SELECT user_id AS userId, slot, conversation, coalesce((
       SELECT r.first FROM runs r WHERE r.conversation = k.conversation ORDER BY r.last LIMIT 1) > k.seq, 1) AND NOT EXISTS (
       SELECT 1 FROM conversations c WHERE c.id = k.conversation AND c.settled < k.seq) AS dead
     FROM cursors k WHERE (user_id, slot, conversation) > (?, ?, ?) ORDER BY user_id, slot, conversation LIMIT ?`,
  );
  const forget = file.prepare<unknown, [number, string, number]>(
    "DELETE FROM cursors WHERE user_id = ? AND slot = ? AND conversation = ?",
  );
  return () =>
    inSlices<Row>(
      file,
      (last) => look.all(last?.userId ?? 0, last?.slot ?? "", last?.conversation ?? 0, TRIM_SLICE),
      (row) => {
        if (row.dead) forget.run(row.userId, row.slot, row.conversation);
      },
    );
}

// A device that is connected keeps its place in the conversation of all however quiet it is.
function prepareTrimSlots(file: SqliteFile): (at: number) => Promise<void> {
  type Row = SlotKey & { at: number; session: number; cursors: number };
  const look = file.prepare<Row, [number, string, number]>(
    `SELECT user_id AS userId, slot, at,
       EXISTS (SELECT 1 FROM sessions s WHERE s.user_id = k.user_id AND s.slot = k.slot) AS session,
       EXISTS (SELECT 1 FROM cursors c WHERE c.user_id = k.user_id AND c.slot = k.slot) AS cursors
     FROM slots k WHERE (user_id, slot) > (?, ?) ORDER BY user_id, slot LIMIT ?`,
  );
  const leave = file.prepare<unknown, [number, string]>(
    "UPDATE slots SET everyone = NULL WHERE user_id = ? AND slot = ?",
  );
  const forget = file.prepare<unknown, [number, string]>("DELETE FROM slots WHERE user_id = ? AND slot = ?");
  return (at) =>
    inSlices<Row>(
      file,
      (last) => look.all(last?.userId ?? 0, last?.slot ?? "", TRIM_SLICE),
      (row) => {
        if (row.at < at && !row.session) (row.cursors ? leave : forget).run(row.userId, row.slot);
      },
    );
}

async function inSlices<Row>(
  file: SqliteFile,
  look: (last: Row | undefined) => Row[],
  each: (row: Row) => void,
): Promise<void> {
  let last: Row | undefined;
  do {
    last = await file.write(() => {
      const rows = look(last);
      for (const row of rows) each(row);
      return rows.length < TRIM_SLICE ? undefined : rows.at(-1);
    });
    await setImmediate();
  } while (last !== undefined);
}
