/** Very many connections that say nothing but heartbeats, over the processes of one server. */
import {
  CROWD_SETTINGS,
  type Crowd,
  type Place,
  placesOf,
  startCrowds,
  startFloor,
  together,
  writeClients,
} from "./crowd.ts";
import type { Options } from "./options.ts";
import { Meter, Processes, type Processor, residentBytesOf } from "./processes.ts";
import { quiet } from "./quiet.ts";
import { BenchError, type Scenario, type Trial, type Value } from "./scenario.ts";
import { type Store, System } from "./system.ts";
import { windows } from "./windows.ts";

const FLAGS = {
  clients: { default: "100000", meaning: "connections, all logged in" },
  workers: { default: "6", meaning: "processes of the server (CIM_WORKERS)" },
  heartbeat: { default: "60", meaning: "seconds between two heartbeats of a client" },
  window: { default: "22", meaning: "seconds in a trial, all of which are on the same connections" },
  store: { default: "sqlite", meaning: "sqlite or redis" },
};
/** Clients in one process of the load generator. */
const EACH = 17_000;
/** Logins under way at a time, of one of them. */
const AT_A_TIME = 100;
/** The bare program varies little. */
const MAX_FLOOR_SECONDS = 10;
const MEBIBYTE = 1024 * 1024;
export const idle: Scenario = {
  name: "idle",
  sentence:
    "Connections that are logged in and idle but for their heartbeats, over several server processes.",
  flags: FLAGS,
  cases: (options) => [
    {
      name: `${options.text("clients")} connections`,
      settings: {
        ...Object.fromEntries(Object.keys(FLAGS).map((name) => [name, options.text(name)])),
        trials: "windows one after another, on the same connections",
      },
      trial: windows(() => run(options)),
    },
  ],
  plots: [{ title: "Processor of one core", measurements: ["servers: processor", "floor: processor"] }],
};

async function run(options: Options): Promise<Trial[]> {
  const floor = await measureFloor(options);
  await using system = await System.start({
    store: options.text("store") as Store,
    ...options.programs,
    workers: options.number("workers"),
    // Quiet: a crowd of logins keeps the route from answering for a while, which servers warn of again and again.
    settings: { ...CROWD_SETTINGS, CIM_LOG: "error", CIM_HEARTBEAT_SECONDS: options.number("heartbeat") },
  });
  const { route, ...servers } = system.pids;
  const before = residentOf(servers);
  const places = await placesOf(system, options.number("workers"));
  const { crowds, joinedSeconds } = await join(system.processes, places, options);
  await quiet({ ...servers, route: route! });
  const trials: Trial[] = [];
  for (let i = 0; i < options.trials; i++) {
    const seen = await hold(crowds, { ...servers, route: route! }, options.number("window"));
    const spent = sumOf(Object.keys(servers).map((name) => seen.cores[name]!));
    const percent = (name: string, cores: number, beside?: string): Value => ({
      name,
      unit: "% of a core",
      value: cores * 100,
      floor: beside,
    });
    trials.push({
      values: [
        { name: "connected", unit: "connections", value: seen.connected },
        percent("servers: processor", spent.user + spent.system, "floor: processor"),
        percent("servers: of it in the kernel", spent.system, "floor: of it in the kernel"),
        percent("route: processor", seen.cores.route!.user + seen.cores.route!.system),
        percent("floor: processor", floor.user + floor.system),
        percent("floor: of it in the kernel", floor.system),
        { name: "heartbeats answered", unit: "heartbeats", value: seen.late.count },
        { name: "heartbeat late p99", unit: "ms", value: seen.late.p99Ms },
        { name: "heartbeat late at most", unit: "ms", value: seen.late.maxMs },
        { name: "connections lost", unit: "connections", value: seen.closed },
        {
          name: "servers: resident beyond the start",
          unit: "MiB",
          value: (residentOf(servers) - before) / MEBIBYTE,
        },
        { name: "all logged in after", unit: "s", value: joinedSeconds },
      ],
    });
  }
  return trials;
}

/** The part of a core that bare servers take. */
async function measureFloor(options: Options): Promise<Processor> {
  await using processes = new Processes();
  const count = options.number("workers");
  const places = await Promise.all(Array.from({ length: count }, () => startFloor(processes)));
  const pids = Object.fromEntries(places.map(({ pid }, i) => [`floor ${i}`, pid]));
  const { crowds } = await join(processes, places, options);
  const { cores } = await hold(crowds, pids, Math.min(options.number("window"), MAX_FLOOR_SECONDS));
  return sumOf(Object.values(cores));
}

async function join(
  processes: Processes,
  places: Place[],
  options: Options,
): Promise<{ crowds: Crowd[]; joinedSeconds: number }> {
  const count = options.number("clients");
  const file = await writeClients(processes, count, (i) => places[i % places.length]!);
  const more = { tickMs: 10, heartbeatMs: options.number("heartbeat") * 1000 };
  const crowds = await startCrowds(processes, { file, first: 0, count, each: EACH, more });
  const joined = together(
    await Promise.all(crowds.map((crowd) => crowd.ask(`connect ${AT_A_TIME}`, "connected"))),
  );
  if (joined.in < count)
    throw new BenchError(`${joined.in} of ${count} clients are in: ${JSON.stringify(joined)}`);
  return { crowds, joinedSeconds: (joined.lastInNs - joined.beganNs) / 1e9 };
}

async function hold(crowds: Crowd[], pids: Record<string, number>, seconds: number) {
  await Promise.all(crowds.map((crowd) => crowd.ask("clear", "cleared")));
  const meter = new Meter(pids);
  await Bun.sleep(seconds * 1000);
  const spent = Object.entries(meter.spent()).map(([name, { user, system }]) => [
    name,
    { user: user / seconds, system: system / seconds },
  ]);
  const counted = together(await Promise.all(crowds.map((crowd) => crowd.ask("stats", "stats"))));
  return { ...counted, cores: Object.fromEntries(spent) as Record<string, Processor> };
}

function residentOf(pids: Record<string, number>): number {
  return sum(Object.values(pids).map(residentBytesOf));
}

function sumOf(parts: Processor[]): Processor {
  return { user: sum(parts.map(({ user }) => user)), system: sum(parts.map(({ system }) => system)) };
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
