import { expect, test } from "bun:test";
import { RateLimit } from "../../route/rate-limit.ts";

// Whoever had sent lately was refused for as long as the clock had stepped back.
test("a clock that steps back takes nothing of what a user may send", () => {
  let now = 10_000_000;
  const rates = new RateLimit(2, () => now);
  const may = () => rates.take(1) === null;
  expect([may(), may(), may()]).toEqual([true, true, false]);
  now -= 3_600_000;
  expect(may()).toBe(false);
  now += 500;
  expect([may(), may()]).toEqual([true, false]);
});
