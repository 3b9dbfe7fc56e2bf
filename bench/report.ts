/** What every benchmark prints: how it was made, every trial, and their median. */
import { cpus, release, totalmem } from "node:os";
import { version } from "../package.json" with { type: "json" };

export interface Measurement {
  /** What was measured, and in which unit. */
  name: string;
  unit: string;
  /** In the order in which they were made; a warm-up is not among them. */
  trials: number[];
}

export interface Report {
  scenario: string;
  /** The command that prints this. */
  command: string;
  settings: Record<string, unknown>;
  measurements: Measurement[];
}

export function printReport(report: Report): void {
  const measurements = report.measurements.map((one) => ({ ...one, median: median(one.trials) }));
  console.log(JSON.stringify({ ...report, machine: machine(), measurements }, null, 2));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function machine() {
  const processors = cpus();
  return {
    cores: processors.length,
    processor: processors[0]?.model ?? "unknown",
    memoryBytes: totalmem(),
    kernel: release(),
    bun: Bun.version,
    cim: version,
  };
}
