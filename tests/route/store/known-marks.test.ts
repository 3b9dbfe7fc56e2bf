import { expect, test } from "bun:test";
import { type Change, KnownMarks, type Mark } from "../../../route/store/known-marks.ts";

const HELD_MS = 500;

const mark = (text: string): Mark => ({ home: 7, since: 1000, text });
const shown = (changes: readonly Change[]) => changes.map(({ mark, rest }) => [mark.text, rest]);
const left = (marks: KnownMarks, text: string) =>
  marks.find(mark(text)).map(({ conversation, next, last }) => [conversation, next, last]);

test("a mark comes off once all messages of all its runs were pushed, in whatever order", () => {
  const marks = new KnownMarks();
  marks.set(mark("all 1 3,p2p:1:2 5 5"));
  const told: unknown[] = [];
  for (const [conversation, seq] of [
    ["all", 3],
    ["p2p:1:2", 5],
    ["all", 1],
    ["all", 1],
    ["all", 2],
  ] as const) {
    marks.pushed(conversation, seq, 0);
    told.push(shown(marks.changes(0)));
  }
  expect(told).toEqual([[], [], [], [], [["all 1 3,p2p:1:2 5 5", ""]]]);
});

test("what is not marked is nobody's", () => {
  const marks = new KnownMarks();
  marks.set(mark("all 2 2"));
  marks.set(mark(""));
  for (const [conversation, seq] of [
    ["all", 1],
    ["all", 3],
    ["p2p:1:2", 2],
  ] as const)
    marks.pushed(conversation, seq, 0);
  expect([marks.waiting, left(marks, "all 2 2")]).toEqual([false, [["all", 2, 2]]]);
});

test("what holds a mark up stands alone in it after half a second", () => {
  const marks = new KnownMarks();
  marks.set(mark("all 1 4,p2p:1:2 1 1,p2p:1:3 1 1"));
  marks.pushed("p2p:1:2", 1, 0);
  marks.pushed("all", 1, 1);
  expect([marks.waiting, shown(marks.changes(HELD_MS - 1))]).toEqual([true, []]);
  const [change] = marks.changes(HELD_MS);
  expect(shown([change!])).toEqual([["all 1 4,p2p:1:2 1 1,p2p:1:3 1 1", "all 2 4,p2p:1:3 1 1"]]);
  marks.made(change!, true, HELD_MS);
  expect(left(marks, "all 2 4,p2p:1:3 1 1")).toEqual([
    ["all", 2, 4],
    ["p2p:1:3", 1, 1],
  ]);
  for (const seq of [2, 3, 4]) marks.pushed("all", seq, 600);
  marks.pushed("p2p:1:3", 1, 600);
  expect(shown(marks.changes(600))).toEqual([["all 2 4,p2p:1:3 1 1", ""]]);
});

test("what is pushed while its mark is being changed comes off with the next change", () => {
  const marks = new KnownMarks();
  marks.set(mark("all 1 1,p2p:1:2 1 1,p2p:1:3 1 1"));
  marks.pushed("all", 1, 0);
  const [change] = marks.changes(HELD_MS);
  marks.pushed("p2p:1:2", 1, HELD_MS);
  marks.pushed("p2p:1:3", 1, HELD_MS);
  expect(marks.changes(10 * HELD_MS)).toEqual([]);
  marks.made(change!, true, HELD_MS);
  expect(shown(marks.changes(HELD_MS))).toEqual([["p2p:1:2 1 1,p2p:1:3 1 1", ""]]);
});

test("a change that failed is to be made again", () => {
  const marks = new KnownMarks();
  marks.set(mark("all 1 1"));
  marks.set(mark("p2p:1:2 1 1,p2p:1:3 1 1"));
  marks.pushed("all", 1, 0);
  marks.pushed("p2p:1:2", 1, 0);
  const changes = marks.changes(HELD_MS);
  for (const change of changes) marks.failed(change, HELD_MS);
  expect([marks.waiting, shown(marks.changes(2 * HELD_MS))]).toEqual([true, shown(changes)]);
});

test("a mark that another route has taken off is no longer known", () => {
  const marks = new KnownMarks();
  marks.set(mark("all 1 1,p2p:1:2 1 1"));
  marks.pushed("all", 1, 0);
  const [change] = marks.changes(HELD_MS);
  marks.made(change!, false, HELD_MS);
  marks.pushed("p2p:1:2", 1, HELD_MS);
  expect([marks.waiting, left(marks, "p2p:1:2 1 1")]).toEqual([false, [["p2p:1:2", 1, 1]]]);
});

test("where another route put a smaller mark in the place of a known one, the smaller one counts", () => {
  const marks = new KnownMarks();
  marks.set(mark("all 1 9,p2p:1:2 1 1"));
  marks.pushed("p2p:1:2", 1, 0);
  const [change] = marks.changes(HELD_MS);
  expect(left(marks, "all 7 9")).toEqual([["all", 7, 9]]);
  marks.made(change!, true, HELD_MS);
  for (const seq of [1, 7, 8, 9]) marks.pushed("all", seq, HELD_MS);
  expect(shown(marks.changes(HELD_MS))).toEqual([["all 7 9", ""]]);
});

test("a mark that was found before its append was answered is known once", () => {
  const marks = new KnownMarks();
  marks.find(mark("all 1 2,p2p:1:2 1 1"));
  marks.pushed("all", 1, 0);
  const runs = marks.set(mark("all 1 2,p2p:1:2 1 1"));
  expect(runs.map(({ next }) => next)).toEqual([1, 1]);
  for (const seq of [1, 2]) marks.pushed("all", seq, 0);
  marks.pushed("p2p:1:2", 1, 0);
  const changes = marks.changes(0);
  expect(shown(changes)).toEqual([["all 1 2,p2p:1:2 1 1", ""]]);
  marks.made(changes[0]!, true, 0);
  expect([marks.waiting, marks.changes(HELD_MS)]).toEqual([false, []]);
  marks.set(mark("all 1 2"));
  marks.pushed("all", 1, 0);
  marks.pushed("all", 2, 0);
  expect(shown(marks.changes(0))).toEqual([["all 1 2", ""]]);
});

test("runs that retention took count as pushed", () => {
  const marks = new KnownMarks();
  const runs = marks.set(mark("all 1 9,p2p:1:2 1 1"));
  for (const run of runs) marks.drop(run, 0);
  expect(shown(marks.changes(0))).toEqual([["all 1 9,p2p:1:2 1 1", ""]]);
});

test("beyond a hundred thousand runs the oldest marks are forgotten, whole, and known again when they are found", () => {
  const marks = new KnownMarks();
  for (let i = 1; i <= 50_001; i++) marks.set(mark(`all ${i} ${i},p2p:1:2 ${i} ${i}`));
  marks.pushed("all", 1, 0);
  marks.pushed("all", 2, 0);
  expect(shown(marks.changes(HELD_MS))).toEqual([["all 2 2,p2p:1:2 2 2", "p2p:1:2 2 2"]]);
  expect(left(marks, "all 1 1,p2p:1:2 1 1")).toEqual([
    ["all", 1, 1],
    ["p2p:1:2", 1, 1],
  ]);
});
