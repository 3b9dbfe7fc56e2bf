import { expect, test } from "bun:test";
import { RetryHash } from "../../../route/store/retry-hash-sqlite.ts";

const KEY = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]);

// It stands in files: another answer, and no retry of what they hold is found.
test("the hash of a retry is what it always was", () => {
  const hash = new RetryHash(KEY);
  expect([
    hash.of(1, 2, ""),
    hash.of(1, 2, "a"),
    hash.of(1, 2, "0123456789abcdef-z9"),
    hash.of(2 ** 40 + 1, 2 ** 52 + 2, "消息 12345"),
  ]).toEqual([3335943, 5620035681, 35331913776441, 95894538869301]);
});

test("ids that are counted lie side by side, in their order; of another key, sender or conversation elsewhere", () => {
  const hash = new RetryHash(KEY);
  const counted = Array.from({ length: 1000 }, (_, i) => hash.of(1, 2, `0123456789abcdef-${10_000 + i}`));
  expect(counted.map((value) => value - counted[0]!)).toEqual(
    Array.from({ length: 1000 }, (_, i) => {
      const [hundreds, tens, ones] = String(10_000 + i).slice(-3);
      return (Number(hundreds) * 128 + Number(tens)) * 128 + Number(ones);
    }),
  );
  const elsewhere = [
    new RetryHash(KEY.toReversed()).of(1, 2, "0123456789abcdef-10000"),
    hash.of(2, 2, "0123456789abcdef-10000"),
    hash.of(1, 3, "0123456789abcdef-10000"),
    hash.of(1 + 2 ** 32, 2, "0123456789abcdef-10000"),
    hash.of(1, 2 + 2 ** 32, "0123456789abcdef-10000"),
    hash.of(1, 2, "1123456789abcdef-10000"),
  ];
  expect(new Set([...elsewhere, counted[0]!].map((value) => Math.floor(value / 128 ** 3))).size).toBe(7);
});

test("it is spread as by chance, and small enough for six bytes", () => {
  const hash = new RetryHash(KEY);
  const values = Array.from({ length: 100_000 }, (_, i) => hash.of(1, 2, `${i} and more`));
  expect(Math.max(...values)).toBeLessThan(2 ** 47);
  // 75 doubles among 100,000 of 2^26 are what chance gives.
  expect(100_000 - new Set(values).size).toBeLessThan(120);
});

// Of the last characters only seven bits counted: a sender could name thousands of messages so that all had one hash,
// and each new one was compared with all before it while everyone waited.
test("ids that are alike but for what their last characters have beyond ASCII have hashes of their own", () => {
  const hash = new RetryHash(KEY);
  const alike = (unit: number) =>
    Array.from({ length: 500 }, (_, i) => String.fromCharCode(unit + 128 * i)).filter((one) =>
      one.isWellFormed(),
    );
  const ids = alike(0x61).flatMap((last) => alike(0x62).map((before) => `the same ${before}${last}`));
  expect(ids.length).toBeGreaterThan(200_000);
  const values = ids.map((id) => hash.of(1, 2, id));
  // About 300 of so many are what chance gives.
  expect(ids.length - new Set(values).size).toBeLessThan(600);
});
