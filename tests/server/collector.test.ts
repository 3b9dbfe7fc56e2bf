import { expect, test } from "bun:test";
import { Collector } from "../../server/collector.ts";

test("garbage is collected once after a crowd, when it is in, and not for a few", () => {
  const collected: number[] = [];
  let now = 0;
  const collector = new Collector(() => collected.push(now));
  const tick = (logins: number, untilMs: number) => {
    for (; now < untilMs; now += 250) collector.tick(logins, now);
  };
  tick(0, 10_000);
  tick(999, 20_000);
  tick(1500, 22_000);
  tick(3000, 22_500);
  // In at 22 s, and quiet since.
  tick(3000, 60_000);
  tick(3900, 70_000);
  expect(collected).toEqual([25_000]);
});
