import { expect, test } from "bun:test";
import { firstSessionId, isLater, isSameLogin, nextSessionId } from "../../route/session-id.ts";

test("sessions that a device takes over from itself are of one login, each later than those before", () => {
  const first = firstSessionId();
  const second = nextSessionId([first]);
  const lost = nextSessionId([second]);
  const third = nextSessionId([second, lost]);
  const all = [first, second, lost, third];
  expect(all.map((one) => all.map((other) => isLater(one, other)))).toEqual([
    [false, false, false, false],
    [true, false, false, false],
    [true, true, false, false],
    [true, true, true, false],
  ]);
  expect(all.every((one) => isSameLogin(one, first))).toBe(true);
});

test("another login is another, and no session is made twice", () => {
  const [one, other] = [firstSessionId(), firstSessionId()];
  const both = [nextSessionId([one]), nextSessionId([one])];
  expect([isSameLogin(one, other), isLater(one, other), isLater(other, one)]).toEqual([false, false, false]);
  expect(new Set(both).size).toBe(2);
});

test("an id of another making is a login of its own", () => {
  const old = "0123456789abcdef0123456789abcdef";
  const next = nextSessionId([old]);
  expect([isSameLogin(old, next), isLater(next, old), isSameLogin(old, firstSessionId())]).toEqual([
    true,
    true,
    false,
  ]);
});
