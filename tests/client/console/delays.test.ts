import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Delays, MAX_DELAYS } from "../../../client/console/delays.ts";
import type { Delayed } from "../../../client/console/events.ts";
import type { Mistake } from "../../../client/console/problem.ts";
import { until } from "../../support/until.ts";

let directory: string;
let files = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cim-delays-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const someFile = () => join(directory, `${files++}`, "delays.json");
const message = (text: string, inMs: number) => ({
  conversation: "all",
  to: null,
  text,
  messageId: `id of ${text}`,
  at: Date.now() + inMs,
});

function open(file: string, done = true): { delays: Delays; sent: Delayed[] } {
  const sent: Delayed[] = [];
  const send = async (delayed: Delayed) => {
    sent.push(delayed);
    return done;
  };
  return { delays: new Delays(file, { send, failed() {} }), sent };
}

// CIM v2 cancelled others along with the one that was meant (fault 22).
test("of several that wait, calling one off leaves the others", async () => {
  const { delays, sent } = open(someFile());
  const { at } = message("", 30);
  for (const text of ["one", "two", "three"]) delays.add({ ...message(text, 0), at });
  const cancelled = delays.cancel("2");
  await until("the others are sent", () => delays.waiting.length === 0);
  expect([cancelled.text, sent.map(({ text }) => text)]).toEqual(["two", ["one", "three"]]);
});

// CIM v2 kept them in memory alone (fault 22).
test("what waits survives the end of the program, with its messageId, and what was due meanwhile is sent at once", async () => {
  const file = someFile();
  const first = open(file);
  first.delays.add(message("soon", 1));
  first.delays.add(message("much later", 3_600_000));
  first.delays.end();
  const second = open(file);
  await until("what was due is sent", () => second.sent.length === 1);
  const [{ text, messageId }] = second.sent as [Delayed];
  const waiting = second.delays.waiting.map((delayed) => delayed.text);
  second.delays.end();
  expect([first.sent, { text, messageId }, waiting, statSync(file).mode & 0o777]).toEqual([
    [],
    { text: "soon", messageId: "id of soon" },
    ["much later"],
    0o600,
  ]);
});

test("what could not be sent is kept", async () => {
  const file = someFile();
  const { delays, sent } = open(file, false);
  delays.add(message("stubborn", 1));
  await until("it was tried", () => sent.length === 1);
  delays.end();
  const again = open(file);
  await until("it is tried again", () => again.delays.waiting.length === 0);
  expect(again.sent.map(({ text }) => text)).toEqual(["stubborn"]);
});

test("there is a limit, and what is not there cannot be called off", () => {
  const { delays } = open(someFile());
  for (let i = 0; i < MAX_DELAYS; i++) delays.add(message(`${i}`, 3_600_000));
  const attempts = [
    () => delays.add(message("one more", 1)),
    () => delays.cancel("x"),
    () => delays.cancel("101"),
  ];
  const problems = attempts.map((attempt) => {
    try {
      return attempt();
    } catch (error) {
      return (error as Mistake).problem;
    }
  });
  delays.end();
  expect(problems).toEqual([
    { what: "too-many-delays", limit: MAX_DELAYS },
    { what: "no-such-delay", given: "x" },
    { what: "no-such-delay", given: "101" },
  ]);
});
