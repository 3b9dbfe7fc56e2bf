import { JournalRow } from "./journal-sqlite.ts";
import type { Appended, Draft } from "./log.ts";
import type { Place, Places } from "./places-sqlite.ts";
import { Recent, type RecentMessages, RecentRow } from "./recent-sqlite.ts";
import { RecentRetries, SettledLook, type SettledRetries } from "./retries-sqlite.ts";
import type { SqliteFile } from "./sqlite-file.ts";

/** Accepts a batch of messages, in one transaction. */
export function prepareAppend(
  file: SqliteFile,
  places: Places,
  recent: RecentMessages,
  settled: SettledRetries,
): (drafts: readonly Draft[]) => Appended[] {
  const move = file.prepare<unknown, [number, number]>("UPDATE conversations SET head = ? WHERE id = ?");

  return (drafts) => {
    const touched = new Map<string, { place: Place; head: number }>();
    const fresh = new RecentRetries();
    const row = new RecentRow();
    const journal = new JournalRow(drafts);
    const look = new SettledLook(settled);
    // Nothing is changed but the file before the transaction stands.
    const appended = file.writeNow(() => {
      const retries = drafts.map(({ conversation, senderId, messageId }) => {
        const { place } = touched.getOrInsertComputed(conversation, () => {
          const place = places.open(conversation);
          return { place, head: place.head };
        });
        const retry = settled.hash.of(place.id, senderId, messageId);
        if (place.settled > 0) look.add(retry, place.id);
        return retry;
      });
      const appended = drafts.map((draft, i): Appended => {
        const { conversation, senderId, messageId, at } = draft;
        const its = touched.get(conversation)!;
        const { place } = its;
        const retry = retries[i]!;
        const first =
          fresh.find(retry, place.id, senderId, messageId) ??
          recent.find(retry, place.id, senderId, messageId) ??
          (place.settled > 0 ? look.find(retry, place.id, senderId, messageId) : null);
        if (first) return { seq: first.seq, at: first.at, retry: true };
        const seq = ++its.head;
        journal.add(place.id, seq, draft);
        const message = new Recent(place, seq, retry, draft, row, journal, true);
        fresh.add(message);
        row.messages.push(message);
        return { seq, at, retry: false };
      });
      for (const { place, head } of touched.values()) if (head > place.head) move.run(head, place.id);
      if (row.messages.length > 0) {
        row.bytes = journal.take();
        row.id = recent.write(row.bytes);
      }
      return appended;
    });
    for (const { place, head } of touched.values()) place.head = head;
    if (row.messages.length > 0) recent.keep(row);
    // Last: to remember one is to forget another, and that must be none with recent messages.
    for (const { place } of touched.values()) places.remember(place);
    return appended;
  };
}
