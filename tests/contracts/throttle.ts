import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Store } from "../../route/store/store.ts";
import { until } from "../support/until.ts";

const LONG_MS = 60_000;
const SHORT_MS = 60;

/** @param open an engine with nothing in it */
export function throttleContract(name: string, open: () => Promise<Store>): void {
  describe(`throttle in ${name}`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    test("as many events as the limit allows are counted, the next is told when it may be", async () => {
      const answers = [];
      for (let i = 0; i < 5; i++) answers.push(await store.throttle.take("a", 3, LONG_MS));
      const [wait, again] = answers.splice(3);
      expect(answers).toEqual([0, 0, 0]);
      for (const told of [wait!, again!]) {
        expect(told).toBeGreaterThan(LONG_MS - 10_000);
        expect(told).toBeLessThanOrEqual(LONG_MS);
      }
    });

    test("each key is counted for itself, whatever it looks like", async () => {
      const keys = ["a", "A", "__proto__", "login:name:張三", "{x}", "*", "a b", ""];
      const answers = await Promise.all(
        keys.map(async (key) => [
          await store.throttle.take(key, 1, LONG_MS),
          (await store.throttle.take(key, 1, LONG_MS)) > 0,
        ]),
      );
      expect(answers).toEqual(keys.map(() => [0, true]));
    });

    test("of many events at once no more than the limit are counted", async () => {
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => store.throttle.take("a", 7, LONG_MS)),
      );
      expect(answers.filter((answer) => answer === 0).length).toBe(7);
    });

    test("an event that turned out harmless makes room for another", async () => {
      await store.throttle.take("a", 2, LONG_MS);
      await store.throttle.take("a", 2, LONG_MS);
      await store.throttle.giveBack("a");
      expect([
        await store.throttle.take("a", 2, LONG_MS),
        (await store.throttle.take("a", 2, LONG_MS)) > 0,
      ]).toEqual([0, true]);
    });

    test("giving back what was never taken gives nothing away", async () => {
      await store.throttle.giveBack("a");
      await store.throttle.take("a", 1, LONG_MS);
      await store.throttle.giveBack("b");
      expect(await store.throttle.take("a", 1, LONG_MS)).toBeGreaterThan(0);
    });

    test("once the window has passed there is room again, no sooner than was told", async () => {
      const start = performance.now();
      await store.throttle.take("a", 1, SHORT_MS);
      const told = await store.throttle.take("a", 1, SHORT_MS);
      expect(told).toBeGreaterThan(0);
      expect(told).toBeLessThanOrEqual(SHORT_MS);
      await until("there is room again", async () => (await store.throttle.take("a", 1, SHORT_MS)) === 0);
      // The engine's clock may count whole milliseconds.
      expect(performance.now() - start).toBeGreaterThanOrEqual(SHORT_MS - 2);
    });

    test("what was refused does not count: who knocks on in vain waits no longer for it", async () => {
      await store.throttle.take("a", 1, SHORT_MS);
      const waits: number[] = [];
      await until("there is room again", async () => {
        waits.push(await store.throttle.take("a", 1, SHORT_MS));
        return waits.at(-1) === 0;
      });
      expect(waits).toEqual(waits.toSorted((a, b) => b - a));
    });
  });
}
