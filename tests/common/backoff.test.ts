import { expect, test } from "bun:test";
import { backoffMs } from "../../common/backoff.ts";

const LARGEST = 1 - Number.EPSILON;

test("the wait doubles from 200 ms to 30 s and stays there", () => {
  const waits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 5000].map((attempt) => backoffMs(attempt, LARGEST) + 1);
  expect(waits).toEqual([200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000]);
});

test("the wait is spread over the whole range, zero included", () => {
  expect([0, 0.25, 0.5, 0.75].map((random) => backoffMs(2, random))).toEqual([0, 200, 400, 600]);
});

// CIM v2 waited the same time before every try, and every client the same (fault 25).
test("clients that lost their server together do not come back together", () => {
  const waits = new Set(Array.from({ length: 100 }, () => backoffMs(6)));
  expect(waits.size).toBeGreaterThan(90);
});

test("first wait and cap are the caller's to choose", () => {
  const limits = { firstMs: 10, maxMs: 50 };
  expect([0, 1, 2, 3].map((attempt) => backoffMs(attempt, 0.5, limits))).toEqual([5, 10, 20, 25]);
});
