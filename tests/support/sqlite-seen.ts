/** What an engine of SQLite has written, seen from outside: its process has the file to itself. */
import { Database } from "bun:sqlite";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

// https://sqlite.org/fileformat2.html#walformat
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const PAGE_SIZE_AT = 8;
const SIZE_AFTER_COMMIT_AT = 4;

export interface Written {
  /** Transactions that changed something. */
  transactions: number;
  pages: number;
  journalRows: number;
}

/** All that was written since the file was opened. Right until a checkpoint, which thousands of pages bring. */
export async function writtenBy(file: string): Promise<Written> {
  const [{ rows }] = (await ask(
    file,
    "SELECT coalesce(max(seq), 0) AS rows FROM sqlite_sequence WHERE name = 'journal'",
  )) as [{ rows: number }];
  const log = Buffer.from(await Bun.file(`${file}-wal`).arrayBuffer());
  const frameBytes = FRAME_HEADER_BYTES + log.readUInt32BE(PAGE_SIZE_AT);
  let transactions = 0;
  let pages = 0;
  for (let at = WAL_HEADER_BYTES; at + frameBytes <= log.length; at += frameBytes) {
    pages++;
    if (log.readUInt32BE(at + SIZE_AFTER_COMMIT_AT) > 0) transactions++;
  }
  return { transactions, pages, journalRows: rows };
}

/** Asks a copy of the file. */
export async function ask(file: string, sql: string, ...values: (string | number)[]): Promise<unknown[]> {
  const directory = await mkdtemp(join(tmpdir(), "cim-seen-"));
  try {
    const copy = join(directory, "copy.db");
    // First the pages, then what was written since: nothing is in between, as nothing is moved before a checkpoint.
    await copyFile(file, copy);
    await copyFile(`${file}-wal`, `${copy}-wal`);
    using db = new Database(copy, { readwrite: true });
    return db.query(sql).all(...values);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
