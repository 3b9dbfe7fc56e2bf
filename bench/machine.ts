/** Where and with what a benchmark was run. */
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import { version } from "../package.json" with { type: "json" };

export interface Machine {
  processor: string;
  cores: number;
  memoryBytes: number;
  kernel: string;
  /** Of the directory in which stores keep their files. */
  fileSystem: string;
  /** Over one, five and fifteen minutes, before anything was started. */
  loadBefore: number[];
}

export function machine(): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model ?? "unknown",
    cores: processors.length,
    memoryBytes: totalmem(),
    kernel: release(),
    fileSystem: fileSystemOf(tmpdir()),
    loadBefore: loadavg().map((load) => Math.round(load * 100) / 100),
  };
}

/** @param commands what says the version of each further program */
export function versions(commands: Record<string, string[]> = {}): Record<string, string> {
  const told = Object.entries(commands).map(([name, command]) => [name, firstLineOf(command)]);
  return {
    cim: version,
    bun: Bun.version,
    gcc: firstLineOf(["gcc", "--version"]),
    ...Object.fromEntries(told),
  };
}

function firstLineOf([program, ...args]: string[]): string {
  if (!Bun.which(program!)) return "not installed";
  const { stdout, stderr } = Bun.spawnSync([program!, ...args]);
  return (stdout.toString() || stderr.toString()).split("\n")[0]!.trim();
}

function fileSystemOf(directory: string): string {
  const mounts = readFileSync("/proc/mounts", "utf8").trim().split("\n");
  const of = mounts.map((line) => line.split(" ")).filter(([, at]) => isWithin(directory, at!));
  return of.sort((a, b) => b[1]!.length - a[1]!.length)[0]?.[2] ?? "unknown";
}

function isWithin(directory: string, parent: string): boolean {
  return directory === parent || directory.startsWith(parent === "/" ? "/" : `${parent}/`);
}
