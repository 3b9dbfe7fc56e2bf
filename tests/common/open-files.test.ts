import { expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { type Door, guardDoor, openFileLimit } from "../../common/open-files.ts";
import { until } from "../support/until.ts";

const FILES = 200;

test.skipIf(openFileLimit() === null)(
  "a door is shut when hardly a file is left, and opened, tried again if need be, when there is room",
  async () => {
    const seen: string[] = [];
    const door: Door = {
      shut: () => seen.push("shut"),
      open() {
        seen.push("open");
        if (seen.length === 2) throw new Error("the port is taken");
      },
    };
    // As many below the limit as if the process could open no more than these.
    const first = open();
    const leave = guardDoor(door, { limit: first + FILES });
    const files = Array.from({ length: FILES }, open);
    await until("it is shut", () => seen.length === 1);
    for (const file of [first, ...files]) closeSync(file);
    await until("it is open", () => seen.length === 3);
    leave();
    expect(seen).toEqual(["shut", "open", "open"]);
  },
);

test.skipIf(openFileLimit() === null)("whoever has a timer already may lend its beat", () => {
  const seen: string[] = [];
  const beats = new Set<() => void>();
  const door: Door = { shut: () => seen.push("shut"), open: () => seen.push("open") };
  const every = (beat: () => void) => {
    beats.add(beat);
    return () => beats.delete(beat);
  };
  const leave = guardDoor(door, { limit: 1, every });
  for (const beat of beats) beat();
  leave();
  expect([seen, beats.size]).toEqual([["shut"], 0]);
});

test("where the system tells no limit there is none to look after", () => {
  const door: Door = { shut: () => expect.unreachable(), open: () => expect.unreachable() };
  guardDoor(door, { limit: null })();
});

function open(): number {
  return openSync("/dev/null", "r");
}
