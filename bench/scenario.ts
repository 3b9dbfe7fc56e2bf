/**
 * What a benchmark is. To add one: write a file that exports a `Scenario`, add it to scenarios.ts, name its
 * measurement in targets.ts when a target goes with it, and run `bun run bench:docs`, or a test fails.
 *
 * A case's `trial` starts what it needs (system.ts for ours, native.ts for a program in C, processes.ts for any other),
 * lets it warm up, measures for `options.seconds`, ends everything (`await using`), and answers what it saw. What a
 * bare program reaches that makes only the same system calls is measured in the same trial, as a value that others
 * name as their `floor`.
 */
import type { Options } from "./options.ts";

export interface Scenario {
  /** As it is called on the command line, and the name of the file its report is kept in. */
  name: string;
  /** What is measured, in one sentence. */
  sentence: string;
  /** Its own flags, beside those that all have (options.ts). */
  flags: Record<string, Flag>;
  /** Programs it uses beside ours, and the command whose first line of output says which version that is. */
  versions?: Record<string, string[]>;
  /** One is enough; several are run in turns, so that what else the machine does hits all of them. */
  cases(options: Options): Case[];
  /** What docs/benchmarks.md says besides, in Markdown. */
  notes?: string;
  /** What docs/benchmarks.md draws. */
  plots: Plot[];
}

export interface Flag {
  /** A list is written with commas. */
  default: string;
  meaning: string;
}

export interface Case {
  name: string;
  settings: Record<string, unknown>;
  trial(): Promise<Trial>;
}

export interface Trial {
  values: Value[];
  /** What a reader has to know before believing the values: that the load generator was the bottleneck, say. */
  remarks?: string[];
}

export interface Value {
  name: string;
  unit: string;
  value: number;
  /** The name of the value of this trial that it is compared with: the ratio is this value by that one. */
  floor?: string;
}

/** Bars: a group for each case, in it a bar for each of these measurements, which share a unit. */
export interface Plot {
  title: string;
  measurements: string[];
  /** Only cases whose name contains this. */
  cases?: string;
  /** An axis of powers of ten, where some values are many times as high as others. */
  log?: boolean;
}

/** What ends a run with one line: a program that is not there, a flag that cannot be used. */
export class BenchError extends Error {}
