import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Store } from "../../route/store/store.ts";
import { until } from "../support/until.ts";

const LONG_MS = 60_000;
const SHORT_MS = 60;

/** @param open an engine with nothing in it */
export function locksContract(name: string, open: () => Promise<Store>): void {
  describe(`locks in ${name}`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    const take = (holder: string, ms = LONG_MS, lock = "v2:1") => store.locks.take(lock, holder, ms);

    test("of many who take a lock at once one holds it, until it lets go", async () => {
      const holders = Array.from({ length: 20 }, (_, i) => `route ${i}`);
      const taken = await Promise.all(holders.map((holder) => take(holder)));
      const winner = holders[taken.indexOf(true)]!;
      await store.locks.release("v2:1", winner);
      expect([taken.filter((one) => one).length, await take("another")]).toEqual([1, true]);
    });

    test("who holds a lock takes it again, and only the holder lets go of it", async () => {
      expect([await take("a"), await take("a"), await take("b")]).toEqual([true, true, false]);
      await store.locks.release("v2:1", "b");
      await store.locks.release("v2:2", "a");
      expect([await take("b"), await take("b", LONG_MS, "v2:2")]).toEqual([false, true]);
    });

    test("a lock whose holder is never heard of again is free after its time, and that of one who is, is not", async () => {
      const start = performance.now();
      await take("a", SHORT_MS);
      await take("b", SHORT_MS, "v2:2");
      await take("b", LONG_MS, "v2:2");
      await until("the lock is free", () => take("c"));
      // The engine's clock may count whole milliseconds.
      expect(performance.now() - start).toBeGreaterThanOrEqual(SHORT_MS - 2);
      expect([await take("a"), await take("c", LONG_MS, "v2:2")]).toEqual([false, false]);
    });
  });
}
