import { isSignedOut, loginOf, type SignOut } from "../session-id.ts";
import type { Session, Sessions } from "./sessions.ts";
import type { SqliteFile } from "./sqlite-file.ts";

type Row = Omit<Session, "confirmed"> & { confirmed: number };

const COLUMNS = `user_id AS userId, user_name AS userName, session_id AS sessionId, slot, device, server,
  boot_id AS bootId, confirmed, since`;

/** Users whose sessions are remembered: every message asks for its receiver's, and only this process changes them. */
const MAX_REMEMBERED = 100_000;

export function sqliteSessions(file: SqliteFile): Sessions {
  const remembered = new Map<number, readonly Session[]>();
  const inSlot = file.prepare<Row, [number, string]>(
    `SELECT ${COLUMNS} FROM sessions WHERE user_id = ? AND slot = ?`,
  );
  const ofUser = file.prepare<Row, [number]>(`SELECT ${COLUMNS} FROM sessions WHERE user_id = ?`);
  const replace = file.prepare(
    `REPLACE INTO sessions (user_id, slot, user_name, session_id, device, server, boot_id, confirmed, since)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const remove = file.prepare("DELETE FROM sessions WHERE user_id = ? AND slot = ? AND session_id = ?");
  // Up to the last user of the page; without one there are fewer, and all are in.
  const list = file.prepare<Row, [number, number]>(
    `SELECT ${COLUMNS} FROM sessions WHERE user_id > ?1 AND user_id <= coalesce(
       (SELECT user_id FROM sessions WHERE user_id > ?1 GROUP BY user_id ORDER BY user_id LIMIT 1 OFFSET ?2 - 1),
       ${Number.MAX_SAFE_INTEGER}
     ) ORDER BY user_id, slot`,
  );
  const revoke = file.prepare("REPLACE INTO revoked (session_id, until) VALUES (?, ?)");
  const isRevoked = file.prepare<unknown, [string, number]>(
    "SELECT 1 FROM revoked WHERE session_id = ? AND until > ?",
  );
  const forgetRevoked = file.prepare("DELETE FROM revoked WHERE until <= ?");
  const signOut = file.prepare(
    `INSERT INTO signouts (user_id, generation, spared, until) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET generation = max(generation + 1, excluded.generation), spared = excluded.spared,
       until = excluded.until`,
  );
  const signedOut = file.prepare<SignOut, [number, number]>(
    "SELECT generation, spared FROM signouts WHERE user_id = ? AND until > ?",
  );
  const forgetSignOuts = file.prepare("DELETE FROM signouts WHERE until <= ?");

  return {
    ofUsers: (userIds) =>
      file.read(() => {
        const found = new Map<number, Session[]>();
        for (const userId of userIds) {
          const sessions = remembered.get(userId) ?? remember(userId);
          if (sessions.length > 0) found.set(userId, [...sessions]);
        }
        return found;
      }),
    put: (session, sees) =>
      file.write(() => {
        const there = inSlot.get(session.userId, session.slot);
        if ((there?.sessionId ?? null) !== sees) return there && toSession(there);
        const { userId, slot, userName, sessionId, device, server, bootId, confirmed, since } = session;
        replace.run(userId, slot, userName, sessionId, device, server, bootId, confirmed, since);
        remembered.delete(userId);
        return "done";
      }),
    remove: (userId, slot, sessionId) =>
      file.write(() => {
        remembered.delete(userId);
        return remove.run(userId, slot, sessionId).changes > 0;
      }),
    list: (after, limit) => file.read(() => list.all(after, limit).map(toSession)),
    // A logout that a power cut could undo would be none.
    revoke: (sessionId, until) =>
      file.durably(() => {
        forgetRevoked.run(Date.now());
        revoke.run(sessionId, until);
      }),
    signOut: (userId, spared, until) =>
      file.durably(() => {
        const now = Date.now();
        forgetSignOuts.run(now);
        signOut.run(userId, now, spared === null ? "" : loginOf(spared), until);
      }),
    generation: (userId) => file.read(() => signedOut.get(userId, Date.now())?.generation ?? 0),
    isRevoked: ({ userId, sessionId }) =>
      file.read(() => {
        const now = Date.now();
        if (isRevoked.get(sessionId, now) !== null) return true;
        const last = signedOut.get(userId, now);
        return last !== null && isSignedOut(sessionId, last);
      }),
  };

  function remember(userId: number): readonly Session[] {
    const sessions = ofUser.all(userId).map(toSession);
    if (remembered.size >= MAX_REMEMBERED) remembered.delete(remembered.keys().next().value!);
    remembered.set(userId, sessions);
    return sessions;
  }
}

function toSession(row: Row): Session {
  return { ...row, confirmed: row.confirmed === 1 };
}
