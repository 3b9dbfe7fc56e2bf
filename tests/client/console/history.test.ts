import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Said } from "../../../client/console/events.ts";
import { History } from "../../../client/console/history.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cim-history-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function said(text: string, userName = "bob", seq = 1): Said {
  const from = { userId: 2, userName };
  return { conversation: "all", seq, messageId: `m${seq}`, from, at: 0, own: false, text };
}

test("what was said is found by a word of it or the name, whatever the case or width, after a restart too", () => {
  const file = join(directory, "search", "history.jsonl");
  const first = new History(file);
  for (const one of [said("Hello World"), said("今天天气很好"), said("ｈｅｌｌｏ"), said("bye", "Hellen")])
    first.add(one);
  appendFileSync(file, '{"half a line');
  const again = new History(file);
  const texts = (keyword: string) => again.search(keyword).said.map(({ text }) => text);
  expect([texts("HELLO"), texts("天气"), texts("hell"), texts("nothing")]).toEqual([
    ["Hello World", "ｈｅｌｌｏ"],
    ["今天天气很好"],
    ["Hello World", "ｈｅｌｌｏ", "bye"],
    [],
  ]);
});

test("the newest of many are shown, and how many there are", () => {
  const history = new History(join(directory, "many", "history.jsonl"));
  for (let i = 1; i <= 60; i++) history.add(said(`line ${i}`, "bob", i));
  const { said: shown, total } = history.search("line");
  expect([total, shown.length, shown[0]?.text, shown.at(-1)?.text]).toEqual([60, 50, "line 11", "line 60"]);
});

test("it is its owner's alone, and never grows beyond two files of its limit", () => {
  const file = join(directory, "bounded", "history.jsonl");
  const history = new History(file, 1000);
  for (let i = 1; i <= 100; i++) history.add(said(`line ${i}`, "bob", i));
  const stat = statSync(file);
  const bytes = stat.size + statSync(`${file}.1`).size;
  expect([stat.mode & 0o777, bytes <= 2000, history.search("line 100").total]).toEqual([0o600, true, 1]);
});
