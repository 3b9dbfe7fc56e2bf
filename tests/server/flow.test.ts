import { beforeEach, expect, test } from "bun:test";
import type { Cursor } from "../../proto/ack.ts";
import { Flow, MAX_UNACKNOWLEDGED_BYTES } from "../../server/flow.ts";

const KIB = 1024;
const SECOND = 1000;

let flow: Flow;

beforeEach(() => {
  flow = new Flow();
});

test("pushes go on up to the limit and stop there", () => {
  expect(pushUntilClosed("a", 8 * KIB)).toBe(MAX_UNACKNOWLEDGED_BYTES / (8 * KIB));
});

test("an acknowledgement of everything settles it", () => {
  for (let seq = 1; seq <= 3; seq++) flow.pushed("a", seq, KIB, 0);
  flow.acknowledged([place("a", 1)], 0);
  expect(flow.settled).toBe(false);
  flow.acknowledged([place("a", 3)], 0);
  expect([flow.settled, flow.open, flow.resume()]).toEqual([true, true, null]);
});

test("a client that keeps acknowledging is never stopped, however much it is pushed", () => {
  let acknowledged = 0;
  for (let seq = 1; seq <= 5000; seq++) {
    expect([seq, flow.open]).toEqual([seq, true]);
    flow.pushed("a", seq, 4 * KIB, seq);
    // It is always 30 messages behind.
    if (seq - acknowledged > 30) flow.acknowledged([place("a", ++acknowledged)], seq);
  }
});

test("once pushes were left out they go on when half of the room is free, and the client is told where it lags", () => {
  const last = pushUntilClosed("a", 64 * KIB);
  flow.leftOut("a", false, 0);
  flow.leftOut("b", false, 0);
  expect([flow.open, flow.resume()]).toEqual([false, null]);
  flow.acknowledged([place("a", 1)], 0);
  expect(flow.resume()).toBe(null);
  flow.acknowledged([place("a", last)], 0);
  expect([flow.resume(), flow.open, flow.settled, flow.resume()]).toEqual([["a", "b"], true, true, null]);
});

test("too many conversations to name are any", () => {
  for (let i = 0; i < 100; i++) flow.leftOut(`c${i}`, false, 0);
  expect(flow.resume()).toEqual([]);
});

test("after the outbox was too full, pushes go on only when it has been empty", () => {
  flow.leftOut("a", true, 7);
  flow.leftOut("a", true, 9);
  expect([flow.slowSince, flow.resume()]).toEqual([7, null]);
  flow.emptied();
  expect([flow.slowSince, flow.resume()]).toEqual([null, ["a"]]);
});

// One word for everything took off the first push alone, and no other word followed: the client was pushed nothing more.
test("a client that acknowledges everything at once is pushed on, whichever conversation it names first", () => {
  const words = [
    [place("a", 1), place("b", 3)],
    [place("b", 3), place("a", 1)],
  ];
  for (const word of words) {
    flow = new Flow();
    flow.pushed("a", 1, MAX_UNACKNOWLEDGED_BYTES / 4, 0);
    for (const seq of [1, 2, 3]) flow.pushed("b", seq, MAX_UNACKNOWLEDGED_BYTES / 4, 0);
    flow.leftOut("b", false, 0);
    flow.acknowledged(word, 1);
    expect([flow.resume(), flow.open, flow.settled]).toEqual([["b"], true, true]);
  }
});

// The mark is a message that the client had from a page already and acknowledged before it was pushed.
test("an acknowledgement that never comes stops nobody: older marks give way to newer pushes", () => {
  flow.pushed("seen", 1, KIB, 0);
  for (let seq = 1; seq <= 600; seq++) {
    const now = seq * 100;
    expect([seq, flow.open]).toEqual([seq, true]);
    flow.pushed("a", seq, KIB, now);
    flow.acknowledged([place("a", seq)], now);
  }
});

test("… and once pushes are left out, any word of the client after ten seconds lets them go on", () => {
  flow.pushed("seen", 1, MAX_UNACKNOWLEDGED_BYTES, 0);
  flow.leftOut("a", false, 0);
  flow.acknowledged([place("a", 1)], 9 * SECOND);
  flow.pinged(9 * SECOND);
  expect(flow.resume()).toBe(null);
  flow.pinged(10 * SECOND);
  expect(flow.resume()).toEqual(["a"]);
});

function place(conversation: string, seq: number): Cursor {
  return { conversation, seq };
}

function pushUntilClosed(conversation: string, bytes: number): number {
  let seq = 0;
  while (flow.open) flow.pushed(conversation, ++seq, bytes, 0);
  return seq;
}
