/** What every benchmark prints: how it was made, every trial, medians, and how far from the floor they are. */
import { loadavg } from "node:os";
import { type Machine, machine, versions } from "./machine.ts";
import type { Options } from "./options.ts";
import type { Case, Scenario, Trial, Value } from "./scenario.ts";

export interface Measurement {
  name: string;
  unit: string;
  /** In the order in which they were made; a warm-up is not among them. */
  trials: number[];
  median: number;
  /** The measurement it is compared with, trial by trial. */
  floor?: string;
  ratios?: number[];
  /** The median of them. */
  ratio?: number;
}

export interface CaseReport {
  name: string;
  settings: Record<string, unknown>;
  measurements: Measurement[];
  /** What a reader has to know before believing them. */
  remarks: string[];
}

export interface Report {
  scenario: string;
  sentence: string;
  /** What gives the same again. */
  command: string;
  date: string;
  settings: Record<string, unknown>;
  machine: Machine;
  versions: Record<string, string>;
  cases: CaseReport[];
}

/** Runs a scenario's cases in turns. @param progress told of each trial as it ends */
export async function run(
  scenario: Scenario,
  options: Options,
  progress: (line: string) => void,
): Promise<Report> {
  const report = begin(scenario, options);
  const cases = scenario.cases(options);
  const trials = new Map<Case, Trial[]>(cases.map((one) => [one, []]));
  for (let i = 1; i <= options.trials; i++) {
    for (const one of cases) {
      const trial = await one.trial();
      trials.get(one)!.push(trial);
      progress(
        `${scenario.name}, ${one.name}, trial ${i} of ${options.trials} (load ${loadavg()[0]!.toFixed(2)})`,
      );
      progress(shown(trial));
    }
  }
  report.cases = cases.map((one) => caseReport(one, trials.get(one)!));
  return report;
}

function begin(scenario: Scenario, options: Options): Report {
  return {
    scenario: scenario.name,
    sentence: scenario.sentence,
    command: options.command,
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    settings: {
      trials: options.trials,
      seconds: options.seconds,
      warmUpSeconds: options.warmUpSeconds,
      programs: options.binary ? "dist/cim-route and dist/cim-server" : "the sources, run by bun",
    },
    machine: machine(),
    versions: versions(scenario.versions),
    cases: [],
  };
}

function caseReport({ name, settings }: Case, trials: Trial[]): CaseReport {
  const measurements = trials[0]!.values.map(({ name, unit, floor }): Measurement => {
    const values = trials.map((trial) => valueIn(trial, name));
    const plain = { name, unit, trials: values.map(rounded), median: rounded(median(values)) };
    if (floor === undefined) return plain;
    const ratios = trials.map((trial) => rounded(valueIn(trial, name) / valueIn(trial, floor)));
    return { ...plain, floor, ratios, ratio: median(ratios) };
  });
  const remarks = trials.flatMap(({ remarks = [] }, i) => remarks.map((text) => `trial ${i + 1}: ${text}`));
  return { name, settings, measurements, remarks };
}

function valueIn({ values }: Trial, name: string): number {
  const found = values.find((value) => value.name === name);
  if (!found) throw new Error(`a trial without ${name}: want the same values of each`);
  return found.value;
}

function shown({ values, remarks = [] }: Trial): string {
  const width = Math.max(...values.map(({ name }) => name.length));
  const line = ({ name, unit, value, floor }: Value) => {
    const beside = values.find((other) => other.name === floor);
    const ratio = beside ? `  (${(value / beside.value).toFixed(2)} of ${floor})` : "";
    return `  ${name.padEnd(width)}  ${rounded(value).toLocaleString("en")} ${unit}${ratio}`;
  };
  return [...values.map(line), ...remarks.map((text) => `  NOTE ${text}`)].join("\n");
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Whole numbers from 1,000 on, four digits below. */
function rounded(value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4));
}
