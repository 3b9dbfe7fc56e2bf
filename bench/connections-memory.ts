/** What a logged-in, idle session costs the server in memory. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CROWD_SETTINGS, type Place, placesOf, startCrowds, startFloor, writeClients } from "./crowd.ts";
import type { Options } from "./options.ts";
import { Processes, residentBytesOf } from "./processes.ts";
import type { Scenario, Trial, Value } from "./scenario.ts";
import { System } from "./system.ts";

const HEAP = "./bench/connections-heap.ts";
const BARE = [process.execPath, "bench/connections-bare.ts"];
const FLAGS = {
  sessions: { default: "5000,15000", meaning: "sessions at which memory is read, fewest first" },
  settle: { default: "4", meaning: "seconds of idleness before memory is read" },
};
/** Come and go before anything is measured: what they leave is what the program itself needs to run. */
const WARM_UP_CLIENTS = 1000;
const AT_A_TIME = 100;
const EACH = 18_000;
const SILENT_MS = 10 * 60 * 1000;
const LOOK_MS = 20;
/** Until what a collection freed is given back to the system. */
const RELEASE_MS = 1500;

export const memory: Scenario = {
  name: "memory",
  sentence: "Memory that a logged-in, idle session takes in the server, beyond the process without any.",
  flags: FLAGS,
  cases: (options) => [
    {
      name: "idle sessions",
      settings: {
        sessions: options.numbers("sessions"),
        settleSeconds: options.number("settle"),
        cameAndWentBefore: WARM_UP_CLIENTS,
      },
      trial: () => trial(options),
    },
  ],
  plots: [
    {
      title: "Memory of one connection",
      measurements: ["resident, each", "a bare socket in Bun, each", "a bare socket in C, each"],
    },
  ],
};

async function trial(options: Options): Promise<Trial> {
  const ours = await measureOurs(options);
  const bun = await measureBare(options, options.number("settle"), BARE);
  // Nothing in it settles.
  const c = await measureBare(options, 0);
  const [few] = options.numbers("sessions");
  const bytes = (name: string, value: number, floor?: string): Value => ({
    name,
    unit: "bytes",
    value,
    floor,
  });
  return {
    values: [
      bytes("resident, each", ours.grown.last, "a bare socket in Bun, each"),
      bytes(`resident, each, at ${few}`, ours.grown.first),
      bytes("resident, each one more", ours.grown.more),
      ...(ours.collected === null
        ? []
        : [
            bytes("resident after a collection, each", ours.collected.resident),
            bytes("JavaScript heap after a collection, each", ours.collected.heap),
          ]),
      bytes("a bare socket in Bun, each", bun.last),
      bytes("a bare socket in C, each", c.last),
    ],
  };
}

async function measureOurs(options: Options) {
  await using processes = new Processes();
  const file = join(processes.data, "heap");
  await using system = await System.start({
    store: "sqlite",
    ...options.programs,
    settings: { ...CROWD_SETTINGS, BENCH_HEAP: file, BUN_OPTIONS: `--preload ${HEAP}` },
  });
  const pid = system.pids.server!;
  const place = (await placesOf(system, 1))[0]!;
  await warmUp(place, options.number("settle"));
  const before = options.binary ? null : await collect(pid, file);
  const grown = await grow(
    processes,
    { ...place, pid },
    options.numbers("sessions"),
    options.number("settle"),
  );
  const after = options.binary ? null : await collect(pid, file);
  const count = options.numbers("sessions").at(-1)!;
  const collected = before &&
    after && {
      resident: (after.resident - before.resident) / count,
      heap: (after.heap - before.heap) / count,
    };
  return { grown, collected };
}

async function measureBare(options: Options, settle: number, program?: string[]): Promise<Grown> {
  await using processes = new Processes();
  const place = await startFloor(processes, program);
  await warmUp(place, settle);
  return await grow(processes, place, options.numbers("sessions").slice(-1), settle);
}

/** Clients come and go. */
async function warmUp(place: Place, settle: number): Promise<void> {
  await comeAndGo(place);
  await Bun.sleep(settle * 500);
}

async function comeAndGo(place: Place): Promise<void> {
  await using processes = new Processes();
  await enter(processes, place, 0, WARM_UP_CLIENTS);
}

/** Bytes for each session: at the first and the last number of them, and for each one more in between. */
interface Grown {
  first: number;
  last: number;
  more: number;
}

async function grow(
  processes: Processes,
  server: Place & { pid: number },
  counts: number[],
  settle: number,
): Promise<Grown> {
  const before = residentBytesOf(server.pid);
  const residents: number[] = [];
  for (const [i, count] of counts.entries()) {
    const first = counts[i - 1] ?? 0;
    await enter(processes, server, first, count - first);
    await Bun.sleep(settle * 1000);
    residents.push(residentBytesOf(server.pid) - before);
  }
  const [few, many] = [counts[0]!, counts.at(-1)!];
  const [least, most] = [residents[0]!, residents.at(-1)!];
  return { first: least / few, last: most / many, more: (most - least) / (many - few || 1) };
}

/** So many clients, from number `first` on, log in and are then silent. */
async function enter(processes: Processes, place: Place, first: number, count: number): Promise<void> {
  const file = await writeClients(processes, count, () => place, first);
  const more = { heartbeatMs: SILENT_MS };
  const crowds = await startCrowds(processes, { file, first: 0, count, each: EACH, more });
  await Promise.all(crowds.map((crowd) => crowd.ask(`connect ${AT_A_TIME}`, "connected")));
}

/** The heap of the server once it is cleaned up, and what is resident then. */
async function collect(pid: number, file: string): Promise<{ heap: number; resident: number }> {
  rmSync(file, { force: true });
  process.kill(pid, "SIGUSR2");
  while (!existsSync(file)) await Bun.sleep(LOOK_MS);
  await Bun.sleep(RELEASE_MS);
  const { heapSize } = JSON.parse(readFileSync(file, "utf8")) as { heapSize: number };
  return { heap: heapSize, resident: residentBytesOf(pid) };
}
