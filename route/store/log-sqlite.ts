import { prepareAppend } from "./append-sqlite.ts";
import type { EntryReader } from "./entry-sqlite.ts";
import { type Log, nameOf, type PageLimit, type Stored } from "./log.ts";
import { Marks } from "./marks-sqlite.ts";
import { type Place, Places } from "./places-sqlite.ts";
import { RecentMessages, rowOf } from "./recent-sqlite.ts";
import { SettledRetries } from "./retries-sqlite.ts";
import { type MessageRow, Runs, RunWriter } from "./runs-sqlite.ts";
import { Settling } from "./settle-sqlite.ts";
import type { SqliteFile } from "./sqlite-file.ts";
import { prepareTrim } from "./trim-sqlite.ts";

export interface SqliteLog extends Log {
  /** Moves all that is recent to its tables, as far as there is room. Else it is done in the background, or never before a close. */
  settleNow(): void;
}

/** Conversations of which it is remembered where they stand. */
const MAX_PLACES = 100_000;

/** @param maxPlaces default MAX_PLACES */
export function sqliteLog(file: SqliteFile, maxPlaces = MAX_PLACES): SqliteLog {
  const places = new Places(file, maxPlaces);
  const runs = new Runs(file);
  const marks = new Marks(file);
  const retries = new SettledRetries(file, runs);
  const recent = new RecentMessages(file);
  recent.recover(places, retries.hash);
  const settling = new Settling(file, recent, { runs: new RunWriter(file), retries, marks });
  const append = prepareAppend(file, places, recent, retries);
  const trim = prepareTrim(file, retries, marks);

  function* after(place: Place, seq: number): Iterable<MessageRow> {
    if (seq < place.settled) yield* runs.after(place.id, seq);
    for (let i = Math.max(0, seq - place.settled); i < place.recent.length; i++)
      yield rowOf(place.recent[i]!);
  }

  function* before(place: Place, seq: number): Iterable<MessageRow> {
    for (let i = Math.min(place.recent.length, seq - place.settled - 1) - 1; i >= 0; i--)
      yield rowOf(place.recent[i]!);
    if (place.settled > 0) yield* runs.before(place.id, Math.min(seq, place.settled + 1));
  }

  /** Of those that have settled, in seq order within each conversation. */
  function* marked(at: number, limit: number, except: ReadonlySet<string>): Iterable<Stored> {
    let place = NOWHERE;
    let reader: EntryReader | null = null;
    let left = limit;
    for (const { conversation, seq } of marks.before(at, limit + except.size)) {
      if (conversation !== place.id) [place, reader] = [places.byId(conversation), null];
      if (except.has(nameOf({ conversation: place.name, seq }))) continue;
      if (left-- === 0) return;
      // Mostly in the run of the one before.
      if (!reader?.find(seq)) reader = runs.find(conversation, seq)!;
      yield { conversation: place.name, seq, bytes: reader.bytes() };
    }
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
      await settling.room();
      const appended = append(drafts);
      settling.due();
      appending = file.durable();
      await appending;
      return appended;
    },
    read: (conversation, seq, limit) =>
      read(() => {
        const place = places.find(conversation) ?? NOWHERE;
        const { page, more } = take(after(place, seq), limit);
        const through = more ? page.at(-1)!.seq : Math.max(seq, place.head);
        return { after: seq, through, head: place.head, messages: page.map(stored(conversation)) };
      }),
    history: (conversation, seq, limit) =>
      read(() => {
        const place = places.find(conversation) ?? NOWHERE;
        const rows = before(place, Math.min(seq, Number.MAX_SAFE_INTEGER));
        return take(rows, limit).page.reverse().map(stored(conversation));
      }),
    head: (conversation) => read(() => places.find(conversation)?.head ?? 0),
    unpushed: (at, limit, except = NONE) =>
      read(() => {
        const found = [...marked(at, limit, except)];
        for (const message of recent.marked(at)) {
          if (found.length === limit) break;
          const one = { conversation: message.place.name, ...rowOf(message) };
          if (!except.has(nameOf(one))) found.push(one);
        }
        return found;
      }),
    async pushed(messages) {
      const settled = messages.flatMap(({ conversation, seq }) => {
        const place = places.find(conversation);
        return !place || recent.push(place, seq) ? [] : [{ id: place.id, seq }];
      });
      if (settled.length === 0) return;
      await file.write(() => {
        for (const { id, seq } of settled) marks.remove(id, seq);
      });
    },
    async trim(at, limit) {
      if (recent.holds(at)) await settling.settle();
      return file.write(() => trim(at, limit));
    },
    settleNow: () => settling.settleNow(),
  };
}

const NONE: ReadonlySet<string> = new Set();
const NOWHERE: Place = { id: 0, name: "", head: 0, settled: 0, recent: [] };

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
