import { parseConversation } from "../../proto/conversation.ts";
import { withSeq } from "../../proto/message.ts";
import type { Appended, Draft, Log, PageLimit, Stored } from "./log.ts";
import type { SqliteFile } from "./sqlite-file.ts";

interface Place {
  id: number;
  head: number;
}

interface MessageRow {
  seq: number;
  bytes: Uint8Array;
}

export function sqliteLog(file: SqliteFile): Log {
  const append = prepareAppend(file);
  const find = file.prepare<Place, [string]>("SELECT id, head FROM conversations WHERE name = ?");
  const following = file.prepare<MessageRow, [number, number, number]>(
    "SELECT seq, bytes FROM messages WHERE conversation = ? AND seq > ? ORDER BY seq LIMIT ?",
  );
  const preceding = file.prepare<MessageRow, [number, number, number]>(
    "SELECT seq, bytes FROM messages WHERE conversation = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
  );
  const unpushed = file.prepare<Stored & { id: number }, [number, number]>(
    `SELECT m.id, c.name AS conversation, m.seq, m.bytes FROM marks k
     JOIN messages m ON m.id = k.id JOIN conversations c ON c.id = m.conversation
     WHERE k.at < ? ORDER BY k.at, k.id LIMIT ?`,
  );
  const unmark = file.prepare<unknown, [string, number]>(
    `DELETE FROM marks WHERE (at, id) IN (
       SELECT m.at, m.id FROM messages m
       WHERE m.conversation = (SELECT id FROM conversations WHERE name = ?) AND m.seq = ?)`,
  );
  const oldest = "FROM messages WHERE at < ? ORDER BY at, id LIMIT ?";
  const trimMarks = file.prepare<unknown, [number, number]>(
    `DELETE FROM marks WHERE (at, id) IN (SELECT at, id ${oldest})`,
  );
  const trim = file.prepare<unknown, [number, number]>(
    `DELETE FROM messages WHERE id IN (SELECT id ${oldest})`,
  );

  return {
    append: async (drafts) => (drafts.length === 0 ? [] : file.durably(() => append(drafts))),
    read: (conversation, after, limit) =>
      file.read(() => {
        const { id, head } = find.get(conversation) ?? { id: 0, head: 0 };
        const { page, more } = take(following.iterate(id, after, limit.messages + 1), limit);
        const through = more ? page.at(-1)!.seq : Math.max(after, head);
        return { after, through, head, messages: page.map((row) => ({ conversation, ...row })) };
      }),
    history: (conversation, before, limit) =>
      file.read(() => {
        const id = find.get(conversation)?.id ?? 0;
        const rows = preceding.iterate(id, Math.min(before, Number.MAX_SAFE_INTEGER), limit.messages);
        return take(rows, limit)
          .page.reverse()
          .map((row) => ({ conversation, ...row }));
      }),
    head: (conversation) => file.read(() => find.get(conversation)?.head ?? 0),
    // Ids rise with the seqs of a conversation, and unlike `at` never step back with a clock.
    unpushed: (at, limit) =>
      file.read(() =>
        unpushed
          .all(at, limit)
          .sort((a, b) => a.id - b.id)
          .map(({ conversation, seq, bytes }) => ({ conversation, seq, bytes })),
      ),
    pushed: async (messages) => {
      if (messages.length === 0) return;
      await file.write(() => {
        for (const { conversation, seq } of messages) unmark.run(conversation, seq);
      });
    },
    trim: (at, limit) =>
      file.write(() => {
        trimMarks.run(at, limit);
        return trim.run(at, limit).changes;
      }),
  };
}

function prepareAppend(file: SqliteFile): (drafts: readonly Draft[]) => Appended[] {
  const find = file.prepare<Place, [string]>("SELECT id, head FROM conversations WHERE name = ?");
  const make = file.prepare<Place, [string, number | null, number | null]>(
    "INSERT INTO conversations (name, head, low, high) VALUES (?, 0, ?, ?) RETURNING id, head",
  );
  const move = file.prepare<unknown, [number, number]>("UPDATE conversations SET head = ? WHERE id = ?");
  const insert = file.prepare<unknown, [number, number, number, string, number, Uint8Array]>(
    `INSERT INTO messages (conversation, seq, sender_id, message_id, at, bytes) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (conversation, sender_id, message_id) DO NOTHING`,
  );
  const first = file.prepare<{ seq: number; at: number }, [number, number, string]>(
    "SELECT seq, at FROM messages WHERE conversation = ? AND sender_id = ? AND message_id = ?",
  );
  const mark = file.prepare<unknown, [number, number]>("INSERT INTO marks (at, id) VALUES (?, ?)");

  function open(name: string): Place {
    const found = find.get(name);
    if (found) return found;
    const kind = parseConversation(name);
    return kind.kind === "p2p" ? make.get(name, kind.low, kind.high)! : make.get(name, null, null)!;
  }

  return (drafts) => {
    const places = new Map<string, Place>();
    const moved = new Set<Place>();
    const appended = drafts.map(({ conversation, senderId, messageId, at, bytes }): Appended => {
      const place = places.getOrInsertComputed(conversation, open);
      const seq = place.head + 1;
      const row = insert.run(place.id, seq, senderId, messageId, at, withSeq(bytes, seq));
      if (row.changes === 0) return { ...first.get(place.id, senderId, messageId)!, retry: true };
      mark.run(at, Number(row.lastInsertRowid));
      place.head = seq;
      moved.add(place);
      return { seq, at, retry: false };
    });
    for (const { id, head } of moved) move.run(head, id);
    return appended;
  };
}

/** As many rows as the limit allows, at least one; `more`: there was one too many. */
function take(rows: Iterable<MessageRow>, limit: PageLimit): { page: MessageRow[]; more: boolean } {
  const page: MessageRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += row.bytes.length;
    if (page.length > 0 && (bytes > limit.bytes || page.length >= limit.messages))
      return { page, more: true };
    page.push(row);
  }
  return { page, more: false };
}
