import { expect, test } from "bun:test";
import { memoryThrottle } from "../../../route/store/throttle-memory.ts";

test("a window slides: room comes back event by event, when each is a window old", async () => {
  let now = 1000.5;
  const throttle = memoryThrottle(() => now);
  const at = async (time: number) => {
    now = 1000.5 + time;
    return throttle.take("a", 2, 100);
  };
  expect([
    await at(0),
    await at(40),
    await at(50),
    await at(99),
    await at(99.5),
    await at(100),
    await at(101),
    await at(140),
    await at(141),
  ]).toEqual([0, 0, 50, 1, 1, 0, 39, 0, 59]);
});

test("a limit that was lowered counts what came before it", async () => {
  let now = 0;
  const throttle = memoryThrottle(() => now);
  for (now = 0; now < 5; now++) await throttle.take("a", 5, 100);
  expect([
    await throttle.take("a", 2, 100),
    await throttle.take("a", 5, 100),
    await throttle.take("a", 6, 100),
  ]).toEqual([98, 95, 0]);
});

test("nothing fits a limit of none", async () => {
  const throttle = memoryThrottle(() => 0);
  expect([await throttle.take("a", 0, 100), await throttle.take("a", 0, 100)]).toEqual([100, 100]);
});

test("keys that are over are forgotten as others come, and those that are not stay", async () => {
  let now = 0;
  const throttle = memoryThrottle(() => now);
  for (let i = 0; i < 1000; i++) await throttle.take(`old ${i}`, 1, 100);
  now = 60;
  await throttle.take("young", 1, 100);
  now = 110;
  for (let i = 0; i < 500; i++) await throttle.take(`new ${i}`, 1, 100);
  expect([
    throttle.keys(),
    await throttle.take("young", 1, 100),
    await throttle.take("old 7", 1, 100),
  ]).toEqual([501, 50, 0]);
});
