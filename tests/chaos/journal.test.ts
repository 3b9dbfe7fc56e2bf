import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Journal, JournalReader, readJournal } from "./journal.ts";

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cim-journal-"));
  path = join(directory, "crowd.jsonl");
});
afterEach(() => rmSync(directory, { recursive: true }));

test("who reads along gets each whole line once", () => {
  const reader = new JournalReader(path);
  const states = () => Array.from(reader.read(), (entry) => entry.is === "state" && entry.state);
  const read = [states()];
  const journal = new Journal(path);
  journal.write("alice", { is: "state", state: "one" });
  journal.write("alice", { is: "state", state: "two" });
  read.push(states(), states());
  appendFileSync(path, '{"half');
  read.push(states());
  journal.close();
  expect(read).toEqual([[], ["one", "two"], [], []]);
});

test("a line that a kill cut short counts for nothing: the next process writes over it", () => {
  const before = new Journal(path);
  before.write("alice", { is: "state", state: "one" });
  before.close();
  appendFileSync(path, '{"at":1,"client":"alice","is":"rece');
  const after = new Journal(path);
  after.write("alice", { is: "state", state: "two" });
  after.close();
  expect(readJournal(path).entries.map((entry) => entry.is === "state" && entry.state)).toEqual([
    "one",
    "two",
  ]);
});

test("a line longer than what is read at once is read all the same", () => {
  const reader = new JournalReader(path);
  const journal = new Journal(path);
  for (const length of [10, 200_000, 10, 250_000]) {
    journal.write("alice", { is: "state", state: "x".repeat(length) });
  }
  journal.close();
  expect([...reader.read()].length).toBe(4);
});
