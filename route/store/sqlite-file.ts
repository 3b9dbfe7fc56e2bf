/** One database file: how it is opened, its transactions, and what is wrong with it. */
import { Database, SQLiteError, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ConfigError } from "../../common/config.ts";
import { CimError } from "../../proto/status.ts";
import { DamagedRow } from "./entry-sqlite.ts";
import { ensureSchema } from "./sqlite-schema.ts";
import { SyncFile } from "./sync-file.ts";

export const MEMORY = ":memory:";

/** How long an opening waits for the process that has the file: the one before, on its way out. */
const BUSY_TIMEOUT_MS = 2000;
const CACHE_KIB = 32 * 1024;
/** Of a new file. Fewer and larger writes than with SQLite's 4 KiB; beyond this, what is written for one message grows. */
const PAGE_BYTES = 8 * 1024;
/** Pages in the write-ahead log before they are moved to their places: the more, the fewer moves of the same page. */
const CHECKPOINT_PAGES = 8000;
/** What the write-ahead log is cut back to after a burst. */
const WAL_LIMIT_BYTES = 64 * 1024 * 1024;
/** While something is wrong, `trouble()` tries to write this much, this often. */
const ROOM_BYTES = 64 * 1024;
const ROOM_EVERY_MS = 1000;

// https://sqlite.org/rescode.html: what may be wrong with a file, a disk or another process, by primary code.
// Anything else (a constraint, a wrong statement) is a bug of ours.
const BUSY = 5;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;
const FAILURES = new Set([3, BUSY, 6, 7, 8, 10, CORRUPT, 13, 14, 15, NOT_A_DATABASE]);

/** A write that waits for its transaction. */
interface Gathered {
  work: () => unknown;
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
}

/**
 * One connection of one process, which has the file to itself: what it knows in memory is never behind the file.
 *
 * A commit is in the write-ahead log, with the kernel; who needs it on the disk waits for that apart (sync-file.ts), while
 * others go on: a disk may take milliseconds.
 */
export class SqliteFile {
  readonly #db: Database;
  readonly #statements: Statement[] = [];
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  readonly #fillRoom: Statement;
  readonly #emptyRoom: Statement;
  readonly #sync: SyncFile;
  #trouble: { text: string; lasting: boolean } | null = null;
  #triedAt = 0;
  #closed = false;
  #gathered: Gathered[] = [];

  /** @throws ConfigError, in one line, when the file cannot be used */
  constructor(readonly name: string) {
    this.#db = open(name);
    this.#sync = new SyncFile(name === MEMORY ? null : `${resolve(name)}-wal`, (error) =>
      this.#failed(error),
    );
    this.#begin = this.prepare("BEGIN IMMEDIATE");
    this.#commit = this.prepare("COMMIT");
    this.#rollback = this.prepare("ROLLBACK");
    this.#fillRoom = this.prepare("REPLACE INTO room (id, filler) VALUES (1, zeroblob(?))");
    this.#emptyRoom = this.prepare("DELETE FROM room WHERE id = 1");
  }

  prepare<Row, Params extends SQLQueryBindings[] = SQLQueryBindings[]>(sql: string): Statement<Row, Params> {
    const statement = this.#db.prepare(sql);
    this.#statements.push(statement);
    return statement as unknown as Statement<Row, Params>;
  }

  /** Runs `work`, which takes up what the file holds. @throws ConfigError as the constructor; the file is closed then */
  async opened<T>(work: () => T): Promise<T> {
    try {
      return work();
    } catch (error) {
      await this.close();
      throw isFailure(error) ? cannotUse(this.name, error) : error;
    }
  }

  /** Runs `work` in a transaction that is on the disk, not only with the kernel, when this resolves. */
  async durably<T>(work: () => T): Promise<T> {
    const result = this.#write(work);
    await this.durable();
    return result;
  }

  /** Resolves when all that was committed until now is on the disk. @throws CimError FALLBACK when that cannot be known */
  durable(): Promise<void> {
    return this.#sync.done();
  }

  /**
   * Runs `work` in a transaction that outlives the process, and a power cut once it is `durable`; in one with what others
   * write at the same moment, since a commit costs more than most of what it commits. `work` may be run twice, and then
   * only the second time counts.
   */
  write<T>(work: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (this.#gathered.length === 0) queueMicrotask(() => this.#writeGathered());
    this.#gathered.push({ work, resolve: resolve as (result: unknown) => void, reject });
    return promise;
  }

  /** Runs `work` in a transaction of its own, for one who has to go on before anything else happens. */
  writeNow<T>(work: () => T): T {
    return this.#write(work);
  }

  /** Runs `work`, which only reads. Nothing else happens meanwhile: it is one state of the file without a transaction. */
  async read<T>(work: () => T): Promise<T> {
    return this.#guard(work);
  }

  /** What is wrong, in words; null once writing works (again), which it finds out for itself. */
  trouble(): string | null {
    if (this.#trouble === null || this.#trouble.lasting) return this.#trouble?.text ?? null;
    const now = Date.now();
    if (now - this.#triedAt >= ROOM_EVERY_MS && !this.#closed) {
      this.#triedAt = now;
      this.#tryRoom();
    }
    return this.#trouble?.text ?? null;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#writeGathered();
    this.#closed = true;
    for (const statement of this.#statements) statement.finalize();
    await this.#sync.close();
    this.#db.close();
  }

  #writeGathered(): void {
    const gathered = this.#gathered;
    this.#gathered = [];
    if (gathered.length === 0) return;
    try {
      const results = this.#write(() => gathered.map(({ work }) => work()));
      for (const [i, { resolve }] of gathered.entries()) resolve(results[i]);
    } catch (error) {
      if (gathered.length === 1) gathered[0]!.reject(error);
      // One of them failed, and its transaction with it: now each has its own.
      else for (const one of gathered) this.#writeAlone(one);
    }
  }

  #writeAlone({ work, resolve, reject }: Gathered): void {
    try {
      resolve(this.#write(work));
    } catch (error) {
      reject(error);
    }
  }

  #write<T>(work: () => T): T {
    return this.#guard(() => {
      const result = this.#inTransaction(work);
      this.#sync.needed();
      if (this.#trouble && !this.#trouble.lasting) this.#trouble = null;
      return result;
    });
  }

  #inTransaction<T>(work: () => T): T {
    this.#begin.run();
    try {
      const result = work();
      this.#commit.run();
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors, a full disk among them.
      if (this.#db.inTransaction) this.#rollback.run();
      throw error;
    }
  }

  #guard<T>(work: () => T): T {
    if (this.#closed) throw new CimError("FALLBACK", `${this.name} is closed`);
    try {
      return work();
    } catch (error) {
      if (!isFailure(error)) throw error;
      const text = `${this.name}: ${error.message} (${error.code})`;
      const code = error.errno & 0xff;
      if (code !== BUSY && !this.#trouble?.lasting) {
        this.#trouble = { text, lasting: code === CORRUPT || code === NOT_A_DATABASE };
        this.#triedAt = Date.now();
      }
      throw new CimError("FALLBACK", text, { cause: error });
    }
  }

  /** What the kernel could not write may be gone from its memory, too: nothing more is accepted before a restart. */
  #failed(error: Error): CimError {
    const text = `${this.name}: ${error.message}`;
    this.#trouble = { text, lasting: true };
    return new CimError("FALLBACK", text, { cause: error });
  }

  // A commit of some size, since the write-ahead log may have room for a small one on a full disk.
  #tryRoom(): void {
    try {
      this.#write(() => this.#fillRoom.run(ROOM_BYTES));
      this.#write(() => this.#emptyRoom.run());
    } catch (error) {
      if (!(error instanceof CimError)) throw error;
    }
  }
}

function open(name: string): Database {
  const file = name === MEMORY ? name : resolve(name);
  let db: Database | undefined;
  try {
    if (file !== MEMORY) makeFile(file);
    db = new Database(file, { readwrite: true, strict: true });
    db.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA locking_mode = EXCLUSIVE`);
    db.run(`PRAGMA page_size = ${PAGE_BYTES}`);
    const mode = db.query<{ journal_mode: string }, []>("PRAGMA journal_mode = WAL").get()!.journal_mode;
    if (file !== MEMORY && mode !== "wal") {
      throw new Error(`the file system does not support a write-ahead log (journal mode ${mode})`);
    }
    db.run(`PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES}`);
    db.run(`PRAGMA cache_size = -${CACHE_KIB}; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    db.run("PRAGMA temp_store = MEMORY");
    ensureSchema(db, name);
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof ConfigError) throw error;
    throw cannotUse(name, error as Error);
  }
}

function cannotUse(name: string, error: Error): ConfigError {
  const text = isBusy(error) ? "another process uses it" : error.message;
  return new ConfigError(`CIM_STORE, CIM_DATA: cannot use ${name}: ${text}`, { cause: error });
}

// SQLite gives its write-ahead log the mode of the file: password hashes are for this user's eyes.
function makeFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  closeSync(openSync(file, "a", 0o600));
  chmodSync(file, 0o600);
}

function isFailure(error: unknown): error is (SQLiteError & { code: string }) | DamagedRow {
  if (!(error instanceof SQLiteError || error instanceof DamagedRow)) return false;
  return FAILURES.has(error.errno & 0xff);
}

function isBusy(error: unknown): boolean {
  return error instanceof SQLiteError && (error.errno & 0xff) === BUSY;
}
