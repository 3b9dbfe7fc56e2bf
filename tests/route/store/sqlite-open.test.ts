import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../../../common/config.ts";
import { openSqlite } from "../../../route/store/sqlite.ts";
import { SCHEMA_VERSION } from "../../../route/store/sqlite-schema.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cim-sqlite-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function refusal(file: string): Promise<string> {
  const error = await openSqlite(file).then(
    () => new Error("it opened"),
    (error: Error) => error,
  );
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.message).not.toContain("\n");
  return error.message;
}

test("what was kept is there when the file is opened again, and ids and seqs go on", async () => {
  const file = join(directory, "cim.db");
  const draft = { conversation: "all", senderId: 1, messageId: "a", at: 1, bytes: new Uint8Array([1]) };
  const first = await openSqlite(file);
  const { account } = await first.accounts.register("zhangsan", "hash");
  await first.log.append([draft]);
  await first.cursors.join(1, "");
  await first.close();
  const second = await openSqlite(file);
  expect([
    await second.accounts.register("zhangsan", null),
    (await second.accounts.register("lisi", null)).account.userId > account.userId,
    await second.log.append([draft, { ...draft, messageId: "b" }]),
    await second.cursors.cursor(1, "", "all"),
  ]).toEqual([
    { account, created: false },
    true,
    [
      { seq: 1, at: 1, retry: true },
      { seq: 2, at: 1, retry: false },
    ],
    1,
  ]);
  await second.close();
});

test("a file that another process uses is refused, until that one is gone", async () => {
  const file = join(directory, "cim.db");
  const first = await openSqlite(file);
  expect(await refusal(file)).toBe(`CIM_STORE, CIM_DATA: cannot use ${file}: another process uses it`);
  await first.close();
  await (await openSqlite(file)).close();
});

test("the file, its log and the directory made for it are for this user's eyes", async () => {
  const file = join(directory, "new", "data", "cim.db");
  const store = await openSqlite(file);
  await store.accounts.register("zhangsan", "hash");
  const modes = [join(directory, "new", "data"), file, `${file}-wal`].map((path) =>
    (statSync(path).mode & 0o777).toString(8),
  );
  await store.close();
  expect(modes).toEqual(["700", "600", "600"]);
});

test("a file that others could read is closed to them", async () => {
  const file = join(directory, "cim.db");
  await (await openSqlite(file)).close();
  chmodSync(file, 0o644);
  await (await openSqlite(file)).close();
  expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
});

test("once closed, a store says so to whoever still calls it, and may be closed again", async () => {
  const file = join(directory, "cim.db");
  const store = await openSqlite(file);
  await store.close();
  await store.close();
  expect(await store.log.head("all").catch((error) => error)).toMatchObject({
    status: "FALLBACK",
    message: `${file} is closed`,
  });
});

describe("a file that cannot be used is refused in one line that names it and the settings", () => {
  test("one in a place that is no directory", async () => {
    writeFileSync(join(directory, "file"), "");
    const file = join(directory, "file", "cim.db");
    expect(await refusal(file)).toMatch(
      RegExp(`^CIM_STORE, CIM_DATA: cannot use ${file}: .*(ENOTDIR|EEXIST)`),
    );
  });

  test("one in a directory that may not be written to", async () => {
    // The superuser writes where it likes, but not below /proc.
    chmodSync(directory, 0o500);
    const file = process.getuid?.() === 0 ? "/proc/cim/cim.db" : join(directory, "cim.db");
    expect(await refusal(file)).toMatch(RegExp(`^CIM_STORE, CIM_DATA: cannot use ${file}: E`));
    chmodSync(directory, 0o700);
  });

  test("one that is a directory", async () => {
    const file = join(directory, "cim.db");
    mkdirSync(file);
    expect(await refusal(file)).toMatch(RegExp(`^CIM_STORE, CIM_DATA: cannot use ${file}: EISDIR`));
  });

  test("one that is no database", async () => {
    const file = join(directory, "cim.db");
    writeFileSync(file, "a poem of some length ".repeat(500));
    expect(await refusal(file)).toBe(`CIM_STORE, CIM_DATA: cannot use ${file}: file is not a database`);
  });

  test("one that is damaged", async () => {
    const file = join(directory, "cim.db");
    await (await openSqlite(file)).close();
    const bytes = readFileSync(file);
    bytes.fill(0xff, 100, 4096);
    writeFileSync(file, bytes);
    expect(await refusal(file)).toBe(
      `CIM_STORE, CIM_DATA: cannot use ${file}: database disk image is malformed`,
    );
  });

  // It was an error with a stack, as a bug of ours has.
  test("one whose newest messages are damaged", async () => {
    const file = join(directory, "cim.db");
    await (await openSqlite(file)).close();
    const db = new Database(file);
    db.run("INSERT INTO journal (pushed, entries) VALUES (0, x'8080')");
    db.close();
    expect(await refusal(file)).toBe(
      `CIM_STORE, CIM_DATA: cannot use ${file}: a row of messages ends after 2 bytes, amid a message`,
    );
    // It is not held any more.
    const repaired = new Database(file);
    repaired.run("DELETE FROM journal");
    repaired.close();
    await (await openSqlite(file)).close();
  });

  test("one that a newer CIM made", async () => {
    const file = join(directory, "cim.db");
    await (await openSqlite(file)).close();
    const newer = new Database(file);
    newer.run(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    newer.close();
    expect(await refusal(file)).toBe(
      `CIM_STORE: ${file} has tables of version ${SCHEMA_VERSION + 1}, this CIM knows ${SCHEMA_VERSION}: start a newer CIM, or name another file (CIM_STORE, CIM_DATA)`,
    );
  });

  test("one that belongs to something else", async () => {
    const file = join(directory, "cim.db");
    const other = new Database(file);
    other.run("CREATE TABLE bookmarks (url TEXT)");
    other.close();
    expect(await refusal(file)).toBe(
      `CIM_STORE: ${file} is a database of something else: name another file (CIM_STORE, CIM_DATA)`,
    );
  });
});
