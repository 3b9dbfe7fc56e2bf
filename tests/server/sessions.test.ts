import { beforeEach, expect, test } from "bun:test";
import type { Connection } from "../../server/connection.ts";
import { type Session, Sessions } from "../../server/sessions.ts";

let sessions: Sessions;

beforeEach(() => {
  sessions = new Sessions();
});

test("a user is found by id on every connection, a session by its own", () => {
  const [phone, laptop, other] = [connection(), connection(), connection()];
  sessions.add(phone, session(1, "phone"));
  sessions.add(laptop, session(1, "laptop"));
  sessions.add(other, session(2, "other"));
  expect([
    sessions.ofUser(1),
    sessions.ofUser(2),
    sessions.ofUser(3),
    sessions.bySession("laptop"),
    sessions.bySession("none"),
    [...sessions.all()],
    sessions.size,
  ]).toEqual([[phone, laptop], [other], [], laptop, null, [phone, laptop, other], 3]);
});

test("a new connection of a session takes the place of the old, whose end then changes nothing", () => {
  const [old, next] = [connection(), connection()];
  expect(sessions.add(old, session(1, "s"))).toBeNull();
  expect(sessions.add(next, session(1, "s"))).toBe(old);
  expect(sessions.remove(old, session(1, "s"))).toBe(false);
  expect([sessions.ofUser(1), sessions.bySession("s"), sessions.size]).toEqual([[next], next, 1]);
});

test("what is removed is gone; removing it again is nothing", () => {
  const three = [connection(), connection(), connection()];
  for (const [i, one] of three.entries()) sessions.add(one, session(1, `s${i}`));
  const left = three.map((one, i) => [sessions.remove(one, session(1, `s${i}`)), sessions.ofUser(1).length]);
  expect([left, sessions.remove(three[0]!, session(1, "s0")), sessions.size, [...sessions.all()]]).toEqual([
    [
      [true, 2],
      [true, 1],
      [true, 0],
    ],
    false,
    0,
    [],
  ]);
});

test("one of two that is replaced leaves the other where it is", () => {
  const [phone, laptop, again] = [connection(), connection(), connection()];
  sessions.add(phone, session(1, "phone"));
  sessions.add(laptop, session(1, "laptop"));
  sessions.add(again, session(1, "phone"));
  expect(new Set(sessions.ofUser(1))).toEqual(new Set([laptop, again]));
});

/** Only who it is matters here. */
function connection(): Connection {
  return { id: crypto.randomUUID() } as unknown as Connection;
}

function session(userId: number, sessionId: string): Session {
  return { userId, userName: `user ${userId}`, sessionId, device: sessionId };
}
