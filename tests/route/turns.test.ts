import { expect, test } from "bun:test";
import { Turns } from "../../route/turns.ts";

const TWO = { what: "logins", atOnce: 2, waiting: 3 };

test("a few are served at once, the others in the order they came", async () => {
  const turns = new Turns(TWO);
  const began: number[] = [];
  const ends: (() => void)[] = [];
  const work = (i: number) => () => {
    began.push(i);
    return new Promise<number>((resolve) => ends.push(() => resolve(i)));
  };
  const all = Promise.all([0, 1, 2, 3, 4].map((i) => turns.take(work(i))));
  expect(began).toEqual([0, 1]);
  for (let i = 0; i < 5; i++) {
    while (ends.length <= i) await new Promise((resolve) => setTimeout(resolve));
    ends[i]!();
  }
  expect([await all, began]).toEqual([
    [0, 1, 2, 3, 4],
    [0, 1, 2, 3, 4],
  ]);
});

test("what arrives while some are served is heard before the next", async () => {
  const turns = new Turns({ ...TWO, atOnce: 1 });
  const order: string[] = [];
  const served = ["a", "b"].map((name) => turns.take(async () => void order.push(name)));
  await Promise.all([
    ...served,
    new Promise<void>((resolve) => setTimeout(() => resolve(void order.push("other")))),
  ]);
  expect(order).toEqual(["a", "other", "b"]);
});

test("beyond the line's length one is refused at once, and may try again", async () => {
  const turns = new Turns(TWO);
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const inside = Array.from({ length: 5 }, () => turns.take(() => ended));
  await expect(turns.take(() => ended)).rejects.toMatchObject({
    status: "FALLBACK",
    retry: true,
    message: "3 logins wait already: try again in a few seconds",
  });
  end();
  await Promise.all(inside);
  expect(await turns.take(async () => "room again")).toBe("room again");
});

test("one that fails gives its turn on", async () => {
  const turns = new Turns({ ...TWO, atOnce: 1 });
  const failed = turns.take(() => Promise.reject(new Error("no")));
  const next = turns.take(async () => "next");
  await expect(failed).rejects.toThrow("no");
  expect(await next).toBe("next");
});
