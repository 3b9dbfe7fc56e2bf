import { expect, test } from "bun:test";
import { Acks } from "../../server/acks.ts";
import type { Session } from "../../server/sessions.ts";

const ANN: Session = { userId: 1, userName: "ann", sessionId: "s1", device: "" };
const BOB: Session = { userId: 2, userName: "bob", sessionId: "s2", device: "" };

test("of each conversation the highest seq is kept, however many there are", () => {
  const acks = new Acks();
  const names = Array.from({ length: 30 }, (_, i) => `group:${i}`);
  for (const seq of [2, 3, 1]) for (const name of names) acks.add(ANN, name, seq);
  expect([acks.take(ANN), acks.size]).toEqual([names.map((conversation) => ({ conversation, seq: 3 })), 0]);
});

test("beyond a thousand conversations of a session no more are taken, and those that are there go on", () => {
  const acks = new Acks();
  for (let i = 0; i < 1001; i++) acks.add(ANN, `group:${i}`, 1);
  acks.add(ANN, "group:0", 7);
  const cursors = acks.take(ANN);
  expect([cursors.length, cursors[0], cursors.at(-1)]).toEqual([
    1000,
    { conversation: "group:0", seq: 7 },
    { conversation: "group:999", seq: 1 },
  ]);
});

test("what is taken over, of one session or of all, joins what is there and is gone from where it was", () => {
  const [from, to] = [new Acks(), new Acks()];
  to.add(ANN, "a", 5);
  from.add(ANN, "a", 4);
  from.add(ANN, "b", 1);
  from.add(BOB, "a", 2);
  to.takeOver(from, BOB);
  expect([from.size, to.size, to.first()]).toEqual([1, 2, ANN]);
  to.takeOver(from);
  expect([from.size, to.take(ANN), to.take(BOB), to.first()]).toEqual([
    0,
    [
      { conversation: "a", seq: 5 },
      { conversation: "b", seq: 1 },
    ],
    [{ conversation: "a", seq: 2 }],
    undefined,
  ]);
});
