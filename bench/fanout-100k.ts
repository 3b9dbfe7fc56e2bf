/** One message to very many connections over several server processes: until the last has its last byte. */
import {
  CROWD_SETTINGS,
  Crowd,
  type Place,
  placesOf,
  startCrowds,
  startFloor,
  together,
  writeClients,
} from "./crowd.ts";
import type { Options } from "./options.ts";
import { Processes } from "./processes.ts";
import { quiet } from "./quiet.ts";
import { median } from "./report.ts";
import { BenchError, type Scenario, type Trial } from "./scenario.ts";
import { type Store, System } from "./system.ts";
import { windows } from "./windows.ts";

const FLAGS = {
  clients: { default: "100000", meaning: "connections the message goes to" },
  workers: { default: "6", meaning: "processes of the server (CIM_WORKERS)" },
  messages: { default: "2", meaning: "messages in a trial, one after another" },
  bytes: { default: "100", meaning: "bytes of a message's text" },
  store: { default: "sqlite", meaning: "sqlite or redis" },
};
const EACH = 17_000;
const AT_A_TIME = 100;
const NS_PER_MS = 1e6;
/** Until clients acknowledged it. */
const PAUSE_MS = 3250;

export const fanout100k: Scenario = {
  name: "fanout-100k",
  sentence:
    "One message to everyone, on several server processes: stored, and then written to each connection.",
  flags: FLAGS,
  cases: (options) => [
    {
      name: `${options.text("clients")} connections`,
      settings: {
        ...Object.fromEntries(Object.keys(FLAGS).map((name) => [name, options.text(name)])),
        trials: "one after another, on the same connections",
      },
      trial: windows(() => run(options)),
    },
  ],
  plots: [{ title: "Said to last delivery", measurements: ["last delivery", "floor: last delivery"] }],
};

async function run(options: Options): Promise<Trial[]> {
  const floor = await measureFloor(options);
  const ours = await measureOurs(options);
  return ours.map((one, i) => ({
    values: [
      { name: "last delivery", unit: "ms", value: one.lastMs, floor: "floor: last delivery" },
      { name: "floor: last delivery", unit: "ms", value: floor[i]!.lastMs },
      { name: "delivery p50", unit: "ms", value: one.p50Ms },
      { name: "not delivered, or twice", unit: "deliveries", value: one.wrong },
    ],
  }));
}

async function measureOurs(options: Options): Promise<Said[]> {
  const workers = options.number("workers");
  await using system = await System.start({
    store: options.text("store") as Store,
    ...options.programs,
    workers,
    settings: { ...CROWD_SETTINGS, CIM_LOG: "error" },
  });
  const places = await placesOf(system, workers);
  return await measure(system.processes, { places, speakers: [places[0]!], pids: system.pids }, options);
}

async function measureFloor(options: Options): Promise<Said[]> {
  await using processes = new Processes();
  const count = options.number("workers");
  const places = await Promise.all(Array.from({ length: count }, () => startFloor(processes)));
  const pids = Object.fromEntries(places.map(({ pid }, i) => [`floor ${i}`, pid]));
  // Bare servers know nothing of one another: each is told the message.
  return await measure(processes, { places, speakers: places, pids }, options);
}

interface Servers {
  places: Place[];
  /** Where somebody says each message. */
  speakers: Place[];
  pids: Record<string, number>;
}

interface Said {
  lastMs: number;
  p50Ms: number;
  wrong: number;
}

/** A value for each trial. */
async function measure(processes: Processes, servers: Servers, options: Options): Promise<Said[]> {
  const { places, speakers, pids } = servers;
  const count = options.number("clients");
  const more = { tickMs: 10, restMs: 1 };
  const file = await writeClients(processes, count, (i) => places[i % places.length]!);
  const readers = await startCrowds(processes, { file, first: 0, count, each: EACH, more });
  const speaker = await Crowd.start(processes, {
    file: await writeClients(processes, speakers.length, (i) => speakers[i]!, count),
    first: 0,
    count: speakers.length,
  });
  const crowds = [...readers, speaker];
  const { failed } = together(
    await Promise.all(crowds.map((crowd) => crowd.ask(`connect ${AT_A_TIME}`, "connected"))),
  );
  if (failed > 0) throw new BenchError(`${failed} of ${count} clients are not in`);
  await quiet(pids);
  const command = `say 1 0 ${options.number("bytes")} ${speakers.length}`;
  await say(readers, speaker, command);
  const trials: Said[] = [];
  for (let i = 0; i < options.trials; i++) {
    const said: Said[] = [];
    for (let k = 0; k < options.number("messages"); k++) {
      await quiet(pids);
      said.push(await say(readers, speaker, command));
    }
    trials.push({
      lastMs: median(said.map(({ lastMs }) => lastMs)),
      p50Ms: median(said.map(({ p50Ms }) => p50Ms)),
      wrong: said.reduce((sum, { wrong }) => sum + wrong, 0),
    });
  }
  return trials;
}

async function say(readers: Crowd[], speaker: Crowd, command: string): Promise<Said> {
  await Promise.all(readers.map((crowd) => crowd.ask(`watch ${crowd.count}`, "watching")));
  const all = Promise.all(readers.map((crowd) => crowd.hear("delivered")));
  const { saidNs } = await speaker.ask(command, "said");
  const { lastNs, delivery, duplicates, holes } = together(await all);
  await Bun.sleep(PAUSE_MS);
  return { lastMs: (lastNs - saidNs) / NS_PER_MS, p50Ms: delivery.p50Ms, wrong: duplicates + holes };
}
