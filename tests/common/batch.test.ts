import { expect, test } from "bun:test";
import { Batcher } from "../../common/batch.ts";

/** Calls that are answered by hand. */
class Calls {
  readonly made: number[][] = [];
  readonly #answers: { resolve: (results: number[]) => void; reject: (error: Error) => void }[] = [];

  readonly call = (items: number[]): Promise<number[]> => {
    this.made.push(items);
    const { promise, resolve, reject } = Promise.withResolvers<number[]>();
    this.#answers.push({ resolve, reject });
    return promise;
  };

  /** Answers the oldest call with ten times its items. */
  answer(results?: number[]): void {
    const items = this.made[this.made.length - this.#answers.length]!;
    this.#answers.shift()!.resolve(results ?? items.map((item) => item * 10));
  }

  fail(error: Error): void {
    this.#answers.shift()!.reject(error);
  }
}

test("what one event brings goes in one call; what arrives meanwhile in the next, in order", async () => {
  const calls = new Calls();
  const batcher = new Batcher(calls.call);
  const first = [1, 2, 3].map((item) => batcher.add(item));
  await tick();
  const second = [4, 5].map((item) => batcher.add(item));
  await tick();
  expect([calls.made, batcher.waiting.items]).toEqual([[[1, 2, 3]], 2]);
  calls.answer();
  expect(await Promise.all(first)).toEqual([10, 20, 30]);
  await tick();
  calls.answer();
  expect([await Promise.all(second), calls.made]).toEqual([
    [40, 50],
    [
      [1, 2, 3],
      [4, 5],
    ],
  ]);
});

test("a call takes no more items and bytes than it may; a single larger item goes alone", async () => {
  const calls = new Calls();
  const batcher = new Batcher(calls.call, (item) => item, { maxItems: 3, maxBytes: 10 });
  const all = [1, 1, 1, 1, 9, 1, 50, 2].map((item) => batcher.add(item));
  expect(batcher.waiting).toEqual({ items: 8, bytes: 66 });
  for (let i = 0; i < 4; i++) {
    await tick();
    calls.answer();
    await tick();
  }
  calls.answer();
  await Promise.all(all);
  expect([calls.made, batcher.waiting]).toEqual([
    [[1, 1, 1], [1, 9], [1], [50], [2]],
    { items: 0, bytes: 0 },
  ]);
});

test("a call that fails fails its items, and the next is made", async () => {
  const calls = new Calls();
  const batcher = new Batcher(calls.call);
  const first = batcher.add(1);
  await tick();
  const second = batcher.add(2);
  calls.fail(new Error("down"));
  await expect(first).rejects.toThrow("down");
  await tick();
  calls.answer();
  expect(await second).toBe(20);
});

test("an answer of another length than the call fails its items", async () => {
  const calls = new Calls();
  const batcher = new Batcher(calls.call);
  const items = [batcher.add(1), batcher.add(2)];
  await tick();
  calls.answer([10]);
  const reasons = (await Promise.allSettled(items)).map(
    (item) => item.status === "rejected" && item.reason.message,
  );
  expect(reasons).toEqual(["1 results for a batch of 2", "1 results for a batch of 2"]);
});

test("with a concurrency of two, two calls are under way and the third waits", async () => {
  const calls = new Calls();
  const batcher = new Batcher(calls.call, () => 1, { maxItems: 1, concurrency: 2 });
  const all = [1, 2, 3].map((item) => batcher.add(item));
  await tick();
  await tick();
  expect(calls.made).toEqual([[1], [2]]);
  calls.answer();
  await tick();
  expect(calls.made).toEqual([[1], [2], [3]]);
  calls.answer();
  calls.answer();
  expect(await Promise.all(all)).toEqual([10, 20, 30]);
});

test("beside another a call begins only once it is large enough, and a small one follows it", async () => {
  const calls = new Calls();
  const batcher = new Batcher(calls.call, () => 1, { concurrency: 2, besideBytes: 2 });
  const all = [batcher.add(1)];
  await tick();
  all.push(batcher.add(2));
  await tick();
  expect(calls.made).toEqual([[1]]);
  all.push(batcher.add(3));
  await tick();
  all.push(batcher.add(4));
  await tick();
  expect(calls.made).toEqual([[1], [2, 3]]);
  calls.answer();
  await tick();
  expect(calls.made).toEqual([[1], [2, 3]]);
  calls.answer();
  await tick();
  expect(calls.made).toEqual([[1], [2, 3], [4]]);
  calls.answer();
  expect(await Promise.all(all)).toEqual([10, 20, 30, 40]);
});

test("what several events of a turn bring goes in one call, where calls begin only after the turn", async () => {
  const calls = new Calls();
  const soon = (begin: () => void) => void setImmediate(begin);
  const batcher = new Batcher(calls.call, undefined, { soon });
  for (const item of [1, 2, 3]) {
    void batcher.add(item);
    // As after each event.
    await Promise.resolve().then(() => undefined);
  }
  await tick();
  expect(calls.made).toEqual([[1, 2, 3]]);
  calls.answer();
});

/** Everything that is ready has run. */
function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
