/** One message to everyone on one server: how fast it is with all of them, and whether heartbeats wait for it. */
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
import type { Scenario, Trial, Value } from "./scenario.ts";
import { type Store, System } from "./system.ts";

const FLAGS = {
  clients: { default: "10000", meaning: "connections the message goes to" },
  messages: { default: "5", meaning: "messages in a trial, one after another" },
  before: { default: "20", meaning: "messages before these, which do not count" },
  bytes: { default: "100", meaning: "bytes of a message's text" },
  store: { default: "sqlite", meaning: "sqlite or redis" },
};
const EACH = 18_000;
const PROBES = 50;
const PROBE_MS = 50;
const FLOOR = "deliveries of a bare server";
const NS_PER_SECOND = 1e9;
const NS_PER_MS = 1e6;
/** Until clients acknowledge a message. */
const PAUSE_MS = 3250;
/** Before those that do not count. */
const SHORT_PAUSE_MS = 50;

export const fanout: Scenario = {
  name: "fanout",
  sentence: "One message to everyone on one server, stored and then written to each connection.",
  flags: FLAGS,
  cases: (options) => [
    {
      name: `${options.text("clients")} connections`,
      settings: Object.fromEntries(Object.keys(FLAGS).map((name) => [name, options.text(name)])),
      trial: () => trial(options),
    },
  ],
  plots: [{ title: "Deliveries", measurements: ["deliveries", "deliveries of a bare server"] }],
};

/** The messages of both are said in turns, so that what else the machine does hits both. */
async function trial(options: Options): Promise<Trial> {
  await using system = await System.start({
    store: options.text("store") as Store,
    ...options.programs,
    settings: CROWD_SETTINGS,
  });
  await using processes = new Processes();
  const place = (await placesOf(system, 1))[0]!;
  const ours = await gather(processes, { place, pids: system.pids }, options);
  const floor = await startFloor(processes);
  const bare = await gather(processes, { place: floor, pids: { floor: floor.pid } }, options);
  for (const audience of [ours, bare])
    for (let i = 0; i < options.number("before"); i++) await say(audience, options, SHORT_PAUSE_MS);
  const said: Said[] = [];
  const saidBare: Said[] = [];
  for (let i = 0; i < options.number("messages"); i++) {
    said.push(await say(ours, options));
    saidBare.push(await say(bare, options));
  }
  return { values: valuesOf(said, saidBare, options.number("clients")) };
}

function valuesOf(said: Said[], bare: Said[], clients: number): Value[] {
  const middle = (all: Said[], of: (one: Said) => number) => median(all.map(of));
  const perSecond = ({ lastNs }: Said) => (clients * NS_PER_SECOND) / lastNs;
  const wrong = said.reduce((sum, one) => sum + clients - one.deliveries + one.duplicates, 0);
  return [
    { name: "deliveries", unit: "deliveries/s", value: middle(said, perSecond), floor: FLOOR },
    { name: FLOOR, unit: "deliveries/s", value: middle(bare, perSecond) },
    { name: "said to last delivery", unit: "ms", value: middle(said, ({ lastNs }) => lastNs / NS_PER_MS) },
    { name: "said to first delivery", unit: "ms", value: middle(said, ({ firstNs }) => firstNs / NS_PER_MS) },
    { name: "ping p99 meanwhile", unit: "ms", value: middle(said, ({ pingP99Ms }) => pingP99Ms) },
    { name: "ping p99 of a bare server", unit: "ms", value: middle(bare, ({ pingP99Ms }) => pingP99Ms) },
    { name: "not delivered, or twice", unit: "deliveries", value: wrong },
  ];
}

/** Who is connected to a server, and to whom a message goes. */
interface Audience {
  readers: Crowd[];
  /** These ping all the time from a process of their own, and one of them speaks: what they see, the server did. */
  probes: Crowd;
  /** What has to be done with one message before the next. */
  pids: Record<string, number>;
}

async function gather(
  processes: Processes,
  { place, pids }: { place: Place; pids: Record<string, number> },
  options: Options,
): Promise<Audience> {
  const clients = options.number("clients");
  const file = await writeClients(processes, clients + PROBES + 1, () => place);
  const more = { restMs: 1 };
  const readers = await startCrowds(processes, { file, first: 0, count: clients, each: EACH, more });
  const probes = await Crowd.start(processes, {
    file,
    first: clients,
    count: PROBES + 1,
    more: { probeMs: PROBE_MS },
  });
  await Promise.all([...readers, probes].map((crowd) => crowd.ask("connect 100", "connected")));
  return { readers, probes, pids };
}

interface Said {
  /** After it was said. */
  firstNs: number;
  lastNs: number;
  pingP99Ms: number;
  deliveries: number;
  duplicates: number;
}

/** One message, from its sender's write to the last of its deliveries, and the pings while it was under way. */
async function say({ readers, probes, pids }: Audience, options: Options, pauseMs = PAUSE_MS): Promise<Said> {
  await Bun.sleep(pauseMs);
  await quiet(pids);
  await Promise.all(readers.map((crowd) => crowd.ask(`watch ${crowd.count}`, "watching")));
  const all = Promise.all(readers.map((crowd) => crowd.hear("delivered")));
  await probes.ask("clear", "cleared");
  const said = probes.ask(`say 1 0 ${options.number("bytes")} 1`, "said");
  const { firstNs, lastNs, deliveries, duplicates } = together(await all);
  const { ping } = await probes.ask("stats", "stats");
  const { saidNs } = await said;
  return {
    firstNs: firstNs - saidNs,
    lastNs: lastNs - saidNs,
    pingP99Ms: ping.p99Ms,
    deliveries,
    duplicates,
  };
}
