import { withSeq } from "../../proto/message.ts";
import type { JournalEntry } from "./journal-sqlite.ts";
import type { Appended, Draft, Log, PageLimit, Stored } from "./log.ts";
import { type Place, Places } from "./places-sqlite.ts";
import { RecentMessages, retryKey } from "./recent-sqlite.ts";
import type { SqliteFile } from "./sqlite-file.ts";

interface MessageRow {
  seq: number;
  bytes: Uint8Array;
}

export interface SqliteLog extends Log {
  /** Moves all that is recent to its table, as far as there is room. Else it is done in the background, or never before a close. */
  settleNow(): void;
}

export function sqliteLog(file: SqliteFile): SqliteLog {
  const places = new Places(file);
  const recent = new RecentMessages(file);
  recent.recover(places);
  const append = prepareAppend(file, places, recent);
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
  const unmark = file.prepare<unknown, [number, number]>(
    "DELETE FROM marks WHERE (at, id) IN (SELECT at, id FROM messages WHERE conversation = ? AND seq = ?)",
  );
  const trim = prepareTrim(file);

  function* after(place: Place, seq: number, limit: number): Iterable<MessageRow> {
    if (seq < place.settled) yield* following.iterate(place.id, seq, limit);
    for (let i = Math.max(0, seq - place.settled); i < place.recent.length; i++) yield place.recent[i]!;
  }

  function* before(place: Place, seq: number, limit: number): Iterable<MessageRow> {
    for (let i = Math.min(place.recent.length, seq - place.settled - 1) - 1; i >= 0; i--)
      yield place.recent[i]!;
    if (place.settled > 0) yield* preceding.iterate(place.id, Math.min(seq, place.settled + 1), limit);
  }

  // Nobody is shown what a power cut may take back: its seq would be given to another message.
  let appending = Promise.resolve();
  async function read<T>(work: () => T): Promise<T> {
    const result = await file.read(work);
    await appending;
    return result;
  }

  return {
    async append(drafts) {
      if (drafts.length === 0) return [];
      await recent.room();
      const appended = append(drafts);
      appending = file.durable();
      await appending;
      return appended;
    },
    read: (conversation, seq, limit) =>
      read(() => {
        const place = places.find(conversation) ?? NOWHERE;
        const { page, more } = take(after(place, seq, limit.messages + 1), limit);
        const through = more ? page.at(-1)!.seq : Math.max(seq, place.head);
        return { after: seq, through, head: place.head, messages: page.map(stored(conversation)) };
      }),
    history: (conversation, seq, limit) =>
      read(() => {
        const place = places.find(conversation) ?? NOWHERE;
        const rows = before(place, Math.min(seq, Number.MAX_SAFE_INTEGER), limit.messages);
        return take(rows, limit).page.reverse().map(stored(conversation));
      }),
    head: (conversation) => read(() => places.find(conversation)?.head ?? 0),
    // Ids rise with the seqs of a conversation, and unlike `at` never step back with a clock.
    unpushed: (at, limit) =>
      read(() => {
        const settled = unpushed.all(at, limit).sort((a, b) => a.id - b.id);
        const held = recent.marked(at, limit - settled.length);
        return [
          ...settled.map((message) => stored(message.conversation)(message)),
          ...held.map((message) => stored(message.place.name)(message)),
        ];
      }),
    async pushed(messages) {
      const settled = messages.flatMap(({ conversation, seq }) => {
        const place = places.find(conversation);
        return !place || recent.push(place, seq) ? [] : [{ id: place.id, seq }];
      });
      if (settled.length === 0) return;
      await file.write(() => {
        for (const { id, seq } of settled) unmark.run(id, seq);
      });
    },
    async trim(at, limit) {
      if (recent.holds(at)) await recent.settle();
      return file.write(() => trim(at, limit));
    },
    settleNow: () => recent.settleNow(),
  };
}

const NOWHERE: Place = { id: 0, name: "", head: 0, settled: 0, recent: [] };

function prepareAppend(file: SqliteFile, places: Places, recent: RecentMessages) {
  const settled = file.prepare<{ seq: number; at: number }, [number, number, string]>(
    "SELECT seq, at FROM messages WHERE conversation = ? AND sender_id = ? AND message_id = ?",
  );
  const move = file.prepare<unknown, [number, number]>("UPDATE conversations SET head = ? WHERE id = ?");

  return (drafts: readonly Draft[]): Appended[] => {
    const touched = new Map<string, { place: Place; head: number }>();
    const fresh = new Map<string, { place: Place; entry: JournalEntry }>();
    // Nothing is changed but the file before the transaction stands.
    const { appended, row } = file.writeNow(() => {
      const appended = drafts.map((draft): Appended => {
        const { conversation, senderId, messageId, at, bytes } = draft;
        const its = touched.getOrInsertComputed(conversation, () => {
          const place = places.open(conversation);
          return { place, head: place.head };
        });
        const { place } = its;
        const key = retryKey(place.id, senderId, messageId);
        const first =
          fresh.get(key)?.entry ??
          recent.find(key) ??
          (place.settled > 0 ? settled.get(place.id, senderId, messageId) : null);
        if (first) return { seq: first.seq, at: first.at, retry: true };
        const seq = ++its.head;
        const entry = { conversation: place.id, seq, senderId, messageId, at, bytes: withSeq(bytes, seq) };
        fresh.set(key, { place, entry });
        return { seq, at, retry: false };
      });
      for (const { place, head } of touched.values()) if (head > place.head) move.run(head, place.id);
      const entries = Array.from(fresh.values(), ({ entry }) => entry);
      return { appended, row: entries.length > 0 ? recent.write(entries) : null };
    });
    for (const { place, head } of touched.values()) {
      place.head = head;
      places.remember(place);
    }
    if (row !== null) recent.keep(row, fresh);
    return appended;
  };
}

function prepareTrim(file: SqliteFile): (at: number, limit: number) => number {
  interface Slice {
    last: number;
    first: number;
  }
  const oldest = file.prepare<Slice, [number]>(
    "SELECT last_id AS last, first_id AS first FROM slices WHERE oldest < ? ORDER BY oldest LIMIT 1",
  );
  const those = "SELECT id FROM messages WHERE id BETWEEN ? AND ? AND at < ? ORDER BY id LIMIT ?";
  const unmark = file.prepare<unknown, [number, number, number, number]>(
    `DELETE FROM marks WHERE (at, id) IN (SELECT at, id FROM messages WHERE id IN (${those}))`,
  );
  const forget = file.prepare<unknown, [number, number, number, number]>(
    `DELETE FROM messages WHERE id IN (${those})`,
  );
  const left = file.prepare<{ oldest: number | null }, [number, number]>(
    "SELECT min(at) AS oldest FROM messages WHERE id BETWEEN ? AND ?",
  );
  const keep = file.prepare<unknown, [number, number]>("UPDATE slices SET oldest = ? WHERE last_id = ?");
  const drop = file.prepare<unknown, [number]>("DELETE FROM slices WHERE last_id = ?");

  return (at, limit) => {
    let forgotten = 0;
    while (forgotten < limit) {
      const slice = oldest.get(at);
      if (!slice) break;
      const { first, last } = slice;
      unmark.run(first, last, at, limit - forgotten);
      forgotten += forget.run(first, last, at, limit - forgotten).changes;
      const kept = left.get(first, last)!.oldest;
      if (kept === null) drop.run(last);
      else keep.run(kept, last);
    }
    return forgotten;
  };
}

function stored(conversation: string): (row: MessageRow) => Stored {
  return ({ seq, bytes }) => ({ conversation, seq, bytes });
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
