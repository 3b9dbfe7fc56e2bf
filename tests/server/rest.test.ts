import { beforeEach, expect, test } from "bun:test";
import { Meters } from "../../server/meters.ts";
import { MIN_HEARTBEATS, QUIET_MS, REST_MS, Rest } from "../../server/rest.ts";

const TICK_MS = 500;
const ENOUGH = (MIN_HEARTBEATS * TICK_MS) / REST_MS;

let now: number;
let meters: Meters;
let rest: Rest;
/** When it stood still. */
let slept: number[];
let ends: (() => void)[];

beforeEach(() => {
  now = 0;
  meters = new Meters();
  slept = [];
  ends = [];
  rest = new Rest(
    meters,
    now,
    (ms) => {
      expect(ms).toBe(REST_MS);
      slept.push(now);
    },
    (end) => ends.push(end),
  );
});

test("once nothing but heartbeats has come for five seconds, it rests after each turn that brought some", () => {
  ticks(QUIET_MS / TICK_MS);
  expect(slept).toEqual([]);
  ticks(3);
  turn(0);
  expect(slept).toEqual([5500, 6000, 6500]);
});

test("what else is said ends that in the very turn it comes with, and for another five seconds", () => {
  ticks(QUIET_MS / TICK_MS + 1);
  slept.length = 0;
  meters.framesIn++;
  turn(ENOUGH);
  ticks(1);
  meters.downlinks++;
  ticks(QUIET_MS / TICK_MS + 1);
  expect(slept).toEqual([]);
  ticks(1);
  expect(slept).toEqual([now]);
});

test("it never rests for few heartbeats, and no more when they have become few", () => {
  ticks(50, ENOUGH - 1);
  expect(slept).toEqual([]);
  ticks(QUIET_MS / TICK_MS + 1);
  expect(slept).toEqual([now]);
  ticks(50, ENOUGH - 1);
  expect(slept.length).toBe(2);
});

/** As the event loop does: a turn with heartbeats, and the look at the end of its time. */
function ticks(count: number, heartbeats = ENOUGH): void {
  for (let i = 0; i < count; i++) {
    now += TICK_MS;
    turn(heartbeats);
    rest.look(now);
  }
}

function turn(heartbeats: number): void {
  for (let i = 0; i < heartbeats; i++) {
    meters.framesIn++;
    meters.heartbeats++;
    rest.heartbeat();
  }
  for (const end of ends.splice(0)) end();
}
