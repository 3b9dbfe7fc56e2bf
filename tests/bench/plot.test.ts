import { expect, test } from "bun:test";
import { draw } from "../../bench/plot.ts";
import type { CaseReport } from "../../bench/report.ts";

const CASES: CaseReport[] = [1, 64].map((window) => ({
  name: `redis & <window ${window}>`,
  settings: {},
  measurements: [
    {
      name: "delivered",
      unit: "messages/s",
      trials: [90, 110],
      median: 100 * window,
      floor: "floor: delivered",
    },
    { name: "floor: delivered", unit: "messages/s", trials: [200], median: 200 },
  ],
  remarks: [],
}));

test("a bar for each case and for its floor, a tick for each trial, the unit on the axis, names as text", () => {
  const drawing = draw({ title: "Delivered", measurements: ["delivered"] }, CASES)!;
  const count = (pattern: RegExp) => drawing.match(pattern)?.length;
  expect({
    bars: count(/<rect class="bar0" x="210"/g),
    floors: count(/<rect class="floor" x="210"/g),
    trials: count(/<line class="trial"/g),
    units: count(/>messages\/s</g),
    names: [...drawing.matchAll(/text-anchor="end">([^<]*)</g)].map(([, name]) => name),
  }).toEqual({
    bars: 3, // one of them in the legend
    floors: 2,
    trials: 6,
    units: 1,
    names: ["redis &amp; &lt;window 1&gt;", "redis &amp; &lt;window 64&gt;"],
  });
});

test("an axis of powers of ten, from below the least value to above the largest", () => {
  const drawing = draw({ title: "Delivered", measurements: ["delivered"], log: true }, CASES)!;
  const ticks = [...drawing.matchAll(/<line class="grid" x1="([\d.]+)".*\n.*>([\d,]+)</g)];
  expect(ticks.map(([, x, label]) => [x, label])).toEqual([
    ["210.0", "10"],
    ["440.0", "100"],
    ["670.0", "1,000"],
  ]);
});

test("only the cases that it asks for", () => {
  const drawing = draw({ title: "Delivered", measurements: ["delivered"], cases: "window 64" }, CASES)!;
  expect([drawing.includes("window 64"), drawing.includes("window 1&")]).toEqual([true, false]);
});

test("nothing where nothing of it was measured", () => {
  expect(draw({ title: "Received", measurements: ["received"] }, CASES)).toBeNull();
});
