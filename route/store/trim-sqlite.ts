import { EntryReader } from "./entry-sqlite.ts";
import type { Marks } from "./marks-sqlite.ts";
import type { SettledRetries } from "./retries-sqlite.ts";
import type { SqliteFile } from "./sqlite-file.ts";

interface Run {
  id: number;
  conversation: number;
  entries: Uint8Array;
}

/** Forgets messages that have settled and were accepted before `at`, at most `limit`; answers how many. */
export function prepareTrim(
  file: SqliteFile,
  retries: SettledRetries,
  marks: Marks,
): (at: number, limit: number) => number {
  const { oldest, next, left, keep, drop, rewrite, forget } = prepare(file);

  return (at, limit) => {
    let forgotten = 0;
    while (forgotten < limit) {
      const slice = oldest.get(at);
      if (slice === null) break;
      const { first, last } = slice;
      for (let id = first; id <= last && forgotten < limit; id++) {
        const run = next.get(id, last, at);
        if (run === null) break;
        forgotten += trimRun(run, at, limit - forgotten);
        id = run.id;
      }
      const kept = left.get(first, last)!.oldest;
      if (kept === null) drop.run(last);
      else keep.run(kept, last);
    }
    return forgotten;
  };

  function trimRun({ id, conversation, entries }: Run, at: number, limit: number): number {
    const reader = new EntryReader(entries);
    const kept = { first: 0, last: 0, oldest: Number.POSITIVE_INFINITY, length: 0 };
    let [forgotten, from, through] = [0, 0, 0];
    while (reader.next()) {
      if (reader.at < at && forgotten < limit) {
        retries.remove(conversation, reader);
        if (forgotten++ === 0) from = reader.seq;
        through = reader.seq;
        continue;
      }
      if (kept.length === 0) kept.first = reader.seq;
      kept.last = reader.seq;
      kept.oldest = Math.min(kept.oldest, reader.at);
      // What is kept moves up, over what was read already.
      entries.copyWithin(kept.length, reader.from, reader.end);
      kept.length += reader.end - reader.from;
    }
    marks.removeOld(conversation, from, through, at);
    if (kept.length === 0) forget.run(id);
    else rewrite.run(kept.first, kept.last, kept.oldest, entries.subarray(0, kept.length), id);
    return forgotten;
  }
}

function prepare(file: SqliteFile) {
  return {
    oldest: file.prepare<{ first: number; last: number }, [number]>(
      "SELECT last_id AS last, first_id AS first FROM slices INDEXED BY slices_oldest WHERE oldest < ? ORDER BY oldest LIMIT 1",
    ),
    next: file.prepare<Run, [number, number, number]>(
      "SELECT id, conversation, entries FROM runs WHERE id BETWEEN ? AND ? AND oldest < ? ORDER BY id LIMIT 1",
    ),
    left: file.prepare<{ oldest: number | null }, [number, number]>(
      "SELECT min(oldest) AS oldest FROM runs WHERE id BETWEEN ? AND ?",
    ),
    keep: file.prepare<unknown, [number, number]>("UPDATE slices SET oldest = ? WHERE last_id = ?"),
    drop: file.prepare<unknown, [number]>("DELETE FROM slices WHERE last_id = ?"),
    rewrite: file.prepare<unknown, [number, number, number, Uint8Array, number]>(
      "UPDATE runs SET first = ?, last = ?, oldest = ?, entries = ? WHERE id = ?",
    ),
    forget: file.prepare<unknown, [number]>("DELETE FROM runs WHERE id = ?"),
  };
}
