import type { Database } from "bun:sqlite";
import { ConfigError } from "../../common/config.ts";
import { bringUpToDate } from "./migrate-sqlite.ts";
import { TABLES } from "./tables-sqlite.ts";

/** The version of the tables (tables-sqlite.ts), kept in the file as user_version. A change raises it and says how to get there. */
export const SCHEMA_VERSION = 3;

/** "CIM\1" in the file's header, so that a database of something else is not written to. */
const APPLICATION_ID = 0x43494d01;

/**
 * Makes the tables in an empty database, brings those of an older version up to date, leaves those of this version alone.
 * @throws ConfigError for a database of something else, or of a CIM newer than this one
 */
export function ensureSchema(db: Database, file: string): void {
  // Immediate: of two processes that start at once on a new file, the second finds the tables made.
  db.transaction(() => {
    const version = pragma(db, "user_version");
    if (version === SCHEMA_VERSION && pragma(db, "application_id") === APPLICATION_ID) return;
    if ((version === 1 || version === 2) && pragma(db, "application_id") === APPLICATION_ID) {
      bringUpToDate(db, version);
      db.run(`PRAGMA user_version = ${SCHEMA_VERSION}`);
      return;
    }
    const tables = db.query<{ n: number }, []>("SELECT count(*) AS n FROM sqlite_schema").get()!.n;
    if (pragma(db, "application_id") === APPLICATION_ID) {
      throw new ConfigError(
        `CIM_STORE: ${file} has tables of version ${version}, this CIM knows ${SCHEMA_VERSION}: start a newer CIM, or name another file (CIM_STORE, CIM_DATA)`,
      );
    }
    if (tables > 0 || version !== 0) {
      throw new ConfigError(
        `CIM_STORE: ${file} is a database of something else: name another file (CIM_STORE, CIM_DATA)`,
      );
    }
    db.run(TABLES);
    db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
    db.run(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  }).immediate();
}

function pragma(db: Database, name: "user_version" | "application_id"): number {
  return Object.values(db.query<Record<string, number>, []>(`PRAGMA ${name}`).get()!)[0]!;
}
