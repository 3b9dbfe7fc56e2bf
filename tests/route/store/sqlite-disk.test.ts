import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Draft } from "../../../route/store/log.ts";
import { openSqlite } from "../../../route/store/sqlite.ts";
import type { Store } from "../../../route/store/store.ts";
import { RunningProcess } from "../../support/process.ts";
import { until } from "../../support/until.ts";

// Real processes are started, killed and waited for.
setDefaultTimeout(20 * 1000);

const EVERYTHING = { messages: 1_000_000, bytes: Infinity };
const ROOM = "2m";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cim-sqlite-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const mounting = await mount(mkdtempSync(join(tmpdir(), "cim-sqlite-")));
await mounting.undo();

describe.skipIf(mounting.refused !== null)(
  mounting.refused ? `a full disk (cannot mount one: ${mounting.refused})` : "a full disk",
  () => {
    let store: Store;
    let disk: Awaited<ReturnType<typeof mount>>;
    beforeEach(async () => {
      disk = await mount(join(directory));
      writeFileSync(join(directory, "ballast"), new Uint8Array(1024 * 1024));
      store = await openSqlite(join(directory, "cim.db"));
    });
    afterEach(async () => {
      await store.close();
      await disk.undo();
    });

    /** Appends batches until there is no room; answers how many messages were accepted, and the refusal. */
    async function fillUp(): Promise<{ accepted: number; refusal: unknown }> {
      for (let batch = 0; ; batch++) {
        try {
          await store.log.append(drafts(batch));
        } catch (refusal) {
          return { accepted: batch * 10, refusal };
        }
      }
    }

    test("a message that has no room is refused, naming the file and the cause, and nothing of its batch stands", async () => {
      const { accepted, refusal } = await fillUp();
      const text = `${join(directory, "cim.db")}: database or disk is full (SQLITE_FULL)`;
      expect(refusal).toMatchObject({ name: "CimError", status: "FALLBACK", message: text });
      expect(accepted).toBeGreaterThan(0);
      const { head, messages } = await store.log.read("all", 0, EVERYTHING);
      expect([
        store.trouble(),
        head,
        messages.map(({ seq }) => seq),
        (await store.log.unpushed(Infinity, 1_000_000)).length,
      ]).toEqual([text, accepted, Array.from({ length: accepted }, (_, i) => i + 1), accepted]);
      expect(
        await store.accounts.register("x".repeat(64), "y".repeat(60_000)).catch((error) => error),
      ).toMatchObject({
        status: "FALLBACK",
      });
      expect(await store.accounts.byName("x".repeat(64))).toBe(null);
    });

    test("when there is room again the same batch is accepted, without a hole", async () => {
      const { accepted } = await fillUp();
      rmSync(join(directory, "ballast"));
      expect([(await store.log.append(drafts(accepted / 10)))[0], store.trouble()]).toEqual([
        { seq: accepted + 1, at: 1, retry: false },
        null,
      ]);
    });

    test("it finds out that there is room again without being asked to store anything", async () => {
      await fillUp();
      expect(store.trouble()).not.toBe(null);
      rmSync(join(directory, "ballast"));
      await until("no trouble", () => store.trouble() === null);
    });

    // What it had written to try was in the way of all later tries, and of every look at how it was.
    test("so it does where it was killed while it tried before", async () => {
      await store.close();
      const db = new Database(join(directory, "cim.db"));
      db.run("INSERT INTO room (id, filler) VALUES (1, zeroblob(100))");
      db.close();
      store = await openSqlite(join(directory, "cim.db"));
      const register = (i: number) => store.accounts.register(`${i}`, "y".repeat(60_000));
      for (let i = 0, refused = false; !refused; i++)
        await register(i).catch(() => {
          refused = true;
        });
      rmSync(join(directory, "ballast"));
      await until("no trouble", () => store.trouble() === null);
    });
  },
);

test("a file that is damaged while it is used is trouble to the end, and never an empty answer", async () => {
  const file = join(directory, "cim.db");
  const before = await openSqlite(file);
  for (let batch = 0; batch < 20; batch++) await before.log.append(drafts(batch));
  await before.close();
  const bytes = readFileSync(file);
  // Pages after the first few, which hold the schema and its roots.
  for (let page = 40; page < bytes.length / 4096; page++) bytes.fill(0xee, page * 4096, page * 4096 + 512);
  writeFileSync(file, bytes);
  const store = await openSqlite(file);
  const text = `${file}: database disk image is malformed (SQLITE_CORRUPT)`;
  expect(await store.log.read("all", 0, EVERYTHING).catch((error) => error)).toMatchObject({
    status: "FALLBACK",
    message: text,
  });
  await store.accounts.register("zhangsan", null);
  expect(store.trouble()).toBe(text);
  await store.close();
});

test("so is a file whose pages are whole, but not what stands in them", async () => {
  const file = join(directory, "cim.db");
  const before = await openSqlite(file);
  await before.log.append(drafts(0));
  await before.close();
  const db = new Database(file);
  db.run("UPDATE runs SET entries = substr(entries, 1, length(entries) - 1) WHERE id = 1");
  db.close();
  const store = await openSqlite(file);
  // A message of 1,000 bytes is a run.
  const text = `${file}: a row of messages ends after 1010 bytes, amid a message (SQLITE_CORRUPT)`;
  expect([
    await store.log.history("all", 3, EVERYTHING).catch((error) => error),
    store.trouble(),
  ]).toMatchObject([{ status: "FALLBACK", message: text }, text]);
  await store.close();
});

test("when the disk fails to keep what was written, nothing is accepted or shown any more until a restart", async () => {
  const file = join(directory, "cim.db");
  const store = await openSqlite(file);
  // Of a pipe the kernel says that it cannot be synced. SQLite has its log open and goes on writing to that.
  renameSync(`${file}-wal`, `${file}-wal-moved`);
  Bun.spawnSync(["mkfifo", `${file}-wal`]);
  const refusal = {
    name: "CimError",
    status: "FALLBACK",
    message: expect.stringContaining(`${file}: EINVAL`),
  };
  const failures = [
    await store.log.append(drafts(0)).catch((error) => error),
    await store.log.append(drafts(1)).catch((error) => error),
    await store.log.read("all", 0, EVERYTHING).catch((error) => error),
    await store.sessions.revoke("session", Date.now() + 60_000).catch((error) => error),
  ];
  expect(failures).toMatchObject([refusal, refusal, refusal, refusal]);
  expect(store.trouble()).toContain(`${file}: EINVAL`);
  await store.close();
  const restarted = await openSqlite(file);
  expect([(await restarted.log.append(drafts(0))).map(({ seq }) => seq), restarted.trouble()]).toEqual([
    Array.from({ length: 10 }, (_, i) => i + 1),
    null,
  ]);
  await restarted.close();
});

test("everything that was reported as accepted is there after the process was killed", async () => {
  const file = join(directory, "cim.db");
  const appender = new RunningProcess(["bun", join(import.meta.dir, "appender.ts"), file]);
  await appender.printed("accepted 300\n");
  await appender.kill();
  const accepted = Math.max(
    ...[...appender.output.matchAll(/accepted (\d+)\n/g)].map(([, seq]) => Number(seq)),
  );
  const store = await openSqlite(file);
  const { head, messages } = await store.log.read("all", 0, EVERYTHING);
  expect(head).toBeGreaterThanOrEqual(accepted);
  expect([messages.map(({ seq }) => seq), (await store.log.unpushed(Infinity, 1_000_000)).length]).toEqual([
    Array.from({ length: head }, (_, i) => i + 1),
    head,
  ]);
  await store.close();
});

function drafts(batch: number): Draft[] {
  return Array.from({ length: 10 }, (_, i) => ({
    conversation: "all",
    senderId: 1,
    messageId: `${batch}-${i}`,
    at: 1,
    bytes: new Uint8Array(1000),
  }));
}

/** A disk of `ROOM` at `at`; `refused` says why there is none. */
async function mount(at: string): Promise<{ refused: string | null; undo(): Promise<void> }> {
  const run = async (...command: string[]) => {
    if (Bun.which(command[0]!) === null) return `no ${command[0]} in PATH`;
    const child = Bun.spawn(command, { stdout: "ignore", stderr: "pipe" });
    const said = await new Response(child.stderr).text();
    return (await child.exited) === 0 ? null : said.trim();
  };
  const refused = await run("mount", "-t", "tmpfs", "-o", `size=${ROOM}`, "cim-test", at);
  return {
    refused,
    undo: async () => {
      if (refused !== null) return;
      const kept = await run("umount", at);
      if (kept) throw new Error(`cannot unmount ${at}: ${kept}`);
    },
  };
}
