import { expect, test } from "bun:test";
import { Options } from "../../bench/options.ts";
import { run } from "../../bench/report.ts";
import { BenchError, type Scenario } from "../../bench/scenario.ts";

/** Two cases whose trials answer what is left of `values`. */
function scenario(values: number[]): Scenario {
  const trial = async () => {
    const value = values.shift()!;
    return {
      values: [
        { name: "ours", unit: "messages/s", value, floor: "bare" },
        { name: "bare", unit: "messages/s", value: 2 * value },
      ],
      remarks: value > 100 ? ["too good"] : [],
    };
  };
  return {
    name: "example",
    sentence: "An example.",
    flags: { window: { default: "1,2", meaning: "messages" } },
    cases: (options) =>
      options.numbers("window").map((window) => ({ name: `window ${window}`, settings: { window }, trial })),
    plots: [],
  };
}

test("cases are run in turns; each has all its trials, the median, the ratio to the floor, and its remarks", async () => {
  const example = scenario([10, 20, 300, 400, 50, 60]);
  const report = await run(example, new Options(example, ["--trials", "3", "--out", "x"]), () => undefined);
  expect([report.command, report.cases]).toEqual([
    "bun run bench example --trials 3",
    [
      {
        name: "window 1",
        settings: { window: 1 },
        measurements: [
          {
            name: "ours",
            unit: "messages/s",
            trials: [10, 300, 50],
            median: 50,
            floor: "bare",
            ratios: [0.5, 0.5, 0.5],
            ratio: 0.5,
          },
          { name: "bare", unit: "messages/s", trials: [20, 600, 100], median: 100 },
        ],
        remarks: ["trial 2: too good"],
      },
      {
        name: "window 2",
        settings: { window: 2 },
        measurements: [
          {
            name: "ours",
            unit: "messages/s",
            trials: [20, 400, 60],
            median: 60,
            floor: "bare",
            ratios: [0.5, 0.5, 0.5],
            ratio: 0.5,
          },
          { name: "bare", unit: "messages/s", trials: [40, 800, 120], median: 120 },
        ],
        remarks: ["trial 2: too good"],
      },
    ],
  ]);
});

test("a flag that cannot be used is refused with its name and value", () => {
  const refusal = (...args: string[]) => {
    try {
      const example = scenario([]);
      example.cases(new Options(example, args));
      return null;
    } catch (error) {
      return error instanceof BenchError ? error.message : error;
    }
  };
  expect([refusal("--windows", "3"), refusal("--window", "1,x")]).toEqual([
    "example: Unknown option '--windows'",
    "--window x: want a number above 0",
  ]);
});
