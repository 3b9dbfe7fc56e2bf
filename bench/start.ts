/** From the start of the process to the line that says it is ready, and the memory it then holds. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Processes, residentBytesOf } from "./processes.ts";
import { BenchError, type Case, type Scenario, type Value } from "./scenario.ts";

const MEBIBYTE = 1024 * 1024;
const BARE = 'console.log("ready"); setInterval(() => {}, 1000);';
const SETTINGS = { CIM_LOG: "warn", CIM_ROUTE_PORT: 0, CIM_SERVER_PORT: 0, CIM_SERVER_HTTP_PORT: 0 };

/** A program, and one that says that it is ready and does nothing else, run the same way. */
interface Program {
  name: string;
  command: string[];
  /** Makes the bare one. */
  bare(directory: string): Promise<string[]>;
}

const PROGRAMS: Program[] = [
  { name: "bun start.ts", command: [process.execPath, "start.ts"], bare: writeBare },
  { name: "dist/cim", command: ["dist/cim"], bare: compileBare },
];

export const start: Scenario = {
  name: "start",
  sentence:
    "Time until everything in one process says that it is ready, and the memory it holds then and a little later; beside a program that does nothing else.",
  flags: {
    starts: { default: "7", meaning: "starts in a trial, whose middle one counts" },
    idle: { default: "3", meaning: "seconds from ready to the memory of one that is idle" },
  },
  cases(options) {
    const starts = options.number("starts");
    const idleSeconds = options.number("idle");
    return PROGRAMS.filter(({ command }) => existsSync(command.at(-1)!)).map((program): Case => {
      const settings = { starts, idleSeconds, warmUps: 1, data: "a new directory for each start" };
      return { name: program.name, settings, trial: () => trial(program, starts, idleSeconds * 1000) };
    });
  },
  plots: [
    { title: "Ready", measurements: ["ready"] },
    { title: "Resident memory", measurements: ["resident memory", "resident memory, idle"] },
  ],
};

async function trial({ command, bare }: Program, starts: number, idleMs: number) {
  await using floor = new Processes();
  const ours = await middleOf(command, starts);
  const idle = await startOnce(command, idleMs);
  const theirs = await middleOf(await bare(floor.data), starts);
  const values: Value[] = [
    { name: "ready", unit: "ms", value: ours.readyMs, floor: "bare program: ready" },
    { name: "resident memory", unit: "MiB", value: ours.residentMiB, floor: "bare program: resident memory" },
    { name: "resident memory, idle", unit: "MiB", value: idle.residentMiB },
    { name: "bare program: ready", unit: "ms", value: theirs.readyMs },
    { name: "bare program: resident memory", unit: "MiB", value: theirs.residentMiB },
  ];
  return { values };
}

interface Start {
  readyMs: number;
  residentMiB: number;
}

async function middleOf(command: string[], count: number): Promise<Start> {
  await startOnce(command); // warms the cache
  const starts: Start[] = [];
  for (let i = 0; i < count; i++) starts.push(await startOnce(command));
  const middle = (of: (one: Start) => number) => starts.map(of).sort((a, b) => a - b)[count >> 1]!;
  return { readyMs: middle((one) => one.readyMs), residentMiB: middle((one) => one.residentMiB) };
}

/** @param idleMs from ready to when the memory is looked at */
async function startOnce(command: string[], idleMs = 0): Promise<Start> {
  await using processes = new Processes();
  const began = performance.now();
  const { pid } = await processes.start(command, { ...SETTINGS, CIM_DATA: processes.data }, "ready");
  const readyMs = performance.now() - began;
  await Bun.sleep(idleMs);
  return { readyMs, residentMiB: residentBytesOf(pid) / MEBIBYTE };
}

async function writeBare(directory: string): Promise<string[]> {
  const file = join(directory, "bare.ts");
  await Bun.write(file, BARE);
  return [process.execPath, file];
}

async function compileBare(directory: string): Promise<string[]> {
  const [, source] = await writeBare(directory);
  const outfile = join(directory, "bare");
  const flags = ["--compile", "--production", "--minify", "--bytecode", "--format=esm"];
  const command = [process.execPath, "build", ...flags, source!, "--outfile", outfile];
  const { success, stderr } = Bun.spawnSync(command, { stdout: "ignore", stderr: "pipe" });
  if (!success) throw new BenchError(`bun build ${source}: ${stderr.toString()}`);
  return [outfile];
}
