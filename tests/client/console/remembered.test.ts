import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFile } from "../../../client/console/files.ts";
import { Remembered } from "../../../client/console/remembered.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cim-remembered-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

test("a session is remembered for its owner alone, until it is forgotten", () => {
  const file = join(directory, "a", "alice.json");
  const first = new Remembered(file);
  const taken = [first.take(), first.token()];
  first.remember("secret token", { user: "alice" });
  const mode = statSync(file).mode & 0o777;
  first.release();
  const second = new Remembered(file);
  taken.push(second.take(), second.token());
  second.forget();
  expect([...taken, second.token(), mode]).toEqual([true, undefined, true, "secret token", undefined, 0o600]);
});

test("a session that another console uses is left to it; one whose console was killed is taken", () => {
  const file = join(directory, "b", "bob.json");
  const first = new Remembered(file);
  first.take();
  first.remember("token", {});
  // The test's parent stands for the other console: it runs. The number no process can have: it was killed.
  writeFileSync(`${file}.lock`, String(process.ppid));
  const second = new Remembered(file);
  const whileUsed = [second.take(), second.token()];
  second.remember("another", {});
  second.release();
  const kept = JSON.parse(readFileSync(file, "utf8")).token;
  writeFileSync(`${file}.lock`, "999999999");
  expect([...whileUsed, kept, second.take(), second.token()]).toEqual([
    false,
    undefined,
    "token",
    true,
    "token",
  ]);
});

test("each account has a file of its own, whatever is in its name", () => {
  const route = "http://127.0.0.1:8083";
  const accounts = [
    { route, user: "alice", device: "default" },
    { route, user: "alice", device: "phone" },
    { route: `${route}9`, user: "alice", device: "default" },
    { route, user: "../../etc/passwd", device: "default" },
    { route, user: "______etc_passwd", device: "default" },
    { route, user: "字".repeat(64), device: "default" },
  ];
  const files = accounts.map((account) => configFile({ XDG_CONFIG_HOME: "/config" }, account));
  expect(new Set(files).size).toBe(accounts.length);
  for (const file of files) expect(file).toMatch(/^\/config\/cim\/[\p{L}\p{N}_-]{1,33}\.json$/u);
});
