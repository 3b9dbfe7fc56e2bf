import { beforeEach, expect, test } from "bun:test";
import { type Timed, Wheel } from "../../common/wheel.ts";

const TICK_MS = 100;

let now: number;
let wheel: Wheel;
let expired: [name: string, at: number][];

class Item implements Timed {
  slot = -1;
  asked = 0;

  constructor(
    readonly name: string,
    public at: number,
    readonly then: () => void = () => undefined,
  ) {}

  get due(): number {
    this.asked++;
    return this.at;
  }

  expire(): void {
    expired.push([this.name, now]);
    this.then();
  }
}

beforeEach(() => {
  now = 5000;
  expired = [];
  wheel = new Wheel({ tickMs: TICK_MS, clock: () => now });
});

test("what is due expires within a tick after its time, never before, and once", () => {
  const delays = [0, 1, 99, 100, 101, 250, 51_150, 51_200, 60_000, 200_000];
  for (const delay of delays) wheel.add(new Item(`${delay}`, 5000 + delay));
  runTo(300_000);
  expect(expired.map(([name]) => name)).toEqual(delays.map(String));
  for (const [name, at] of expired) {
    const late = at - 5000 - Number(name);
    expect([name, late >= 0 && late <= TICK_MS]).toEqual([name, true]);
  }
});

test("putting a deadline off costs nothing: the wheel asks when the one it knew has come", () => {
  const item = new Item("a", 6000);
  wheel.add(item);
  item.asked = 0;
  for (let i = 0; i < 5; i++) item.at += 100;
  runTo(5900);
  expect([item.asked, expired]).toEqual([0, []]);
  runTo(7000);
  expect(expired).toEqual([["a", 6500]]);
});

test("a deadline that came nearer is kept once the item is added again, and only that one", () => {
  const item = new Item("a", 50_000);
  wheel.add(item);
  item.at = 5300;
  wheel.add(item);
  runTo(60_000);
  expect(expired).toEqual([["a", 5300]]);
});

test("what was removed does not expire; removing twice, or what was never there, is nothing", () => {
  const [a, b] = [new Item("a", 5100), new Item("b", 5100)];
  wheel.add(a);
  wheel.add(b);
  wheel.remove(a);
  wheel.remove(a);
  wheel.remove(new Item("c", 0));
  runTo(6000);
  expect(expired).toEqual([["b", 5100]]);
});

test("what removes or adds others as it expires is obeyed", () => {
  const late = new Item("late", 5100);
  const again: Item = new Item("again", 5100, () => {
    wheel.remove(late);
    again.at = 5400;
    if (expired.length === 1) wheel.add(again);
  });
  wheel.add(again);
  wheel.add(late);
  runTo(6000);
  expect(expired).toEqual([
    ["again", 5100],
    ["again", 5400],
  ]);
});

test("a standstill of the process counts as a short one: who was not heard meanwhile could not be", () => {
  const item = new Item("a", 6000);
  wheel.add(item);
  now = 1_000_000;
  wheel.advance();
  expect([expired, wheel.now]).toEqual([[], 5000 + 2 * TICK_MS]);
  runTo(1_000_000 + 8 * TICK_MS);
  expect(expired).toEqual([["a", 1_000_000 + 8 * TICK_MS]]);
});

test("the time it shows is that of its last step", () => {
  now = 5133;
  const before = wheel.now;
  wheel.advance();
  expect([before, wheel.now]).toEqual([5000, 5133]);
});

function runTo(time: number): void {
  while (now < time) {
    now = Math.min(now + TICK_MS, time);
    wheel.advance();
  }
}
