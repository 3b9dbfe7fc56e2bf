import { expect, test } from "bun:test";
import { Backlog, MAX_SHOWN } from "../../../client/console/backlog.ts";
import type { Said } from "../../../client/console/events.ts";
import { until } from "../../support/until.ts";

const NOW = 1_000_000;

const said = (text: string, at: number, conversation = "all"): Said => ({
  conversation,
  seq: 1,
  messageId: text,
  from: { userId: 1, userName: "u" },
  at,
  own: false,
  text,
});

/** A backlog that has begun, and what it lets through. */
function begun() {
  const shown: (string | number)[] = [];
  const backlog = new Backlog({
    show: ({ text }) => void shown.push(text!),
    skipped: (count) => void shown.push(count),
  });
  backlog.begin(NOW);
  return { backlog, shown };
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

test("of what everyone was told while one was away the newest is shown, what one alone was told is all there", () => {
  const { backlog, shown } = begun();
  backlog.add(said("to you, first", NOW - 9999, "p2p:1:2"));
  for (const text of numbers(1, MAX_SHOWN + 50)) backlog.add(said(text, NOW - 100));
  backlog.add(said("to you, last", NOW - 1, "p2p:1:2"));
  const before = [...shown];
  backlog.add(said("new", NOW));
  backlog.add(said("another", NOW - 1));
  expect([before, shown]).toEqual([
    [],
    [51, "to you, first", ...numbers(52, MAX_SHOWN + 50), "to you, last", "new", "another"],
  ]);
});

test("few are all shown, as soon as nothing more comes", async () => {
  const { backlog, shown } = begun();
  for (const text of ["one", "two"]) backlog.add(said(text, NOW - 1));
  await until("they are shown", () => shown.length > 0);
  backlog.add(said("three", NOW - 1));
  expect(shown).toEqual(["one", "two", "three"]);
});

test("after an outage it begins anew", () => {
  const { backlog, shown } = begun();
  backlog.add(said("one", NOW));
  backlog.begin(2 * NOW);
  for (const text of numbers(1, MAX_SHOWN + 1)) backlog.add(said(text, 2 * NOW - 1));
  backlog.end();
  expect(shown).toEqual(["one", 1, ...numbers(2, MAX_SHOWN + 1)]);
});
