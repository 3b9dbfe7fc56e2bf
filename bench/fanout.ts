/** One message to everyone on one server: how fast it is with all of them, and whether heartbeats wait for it. */
import {
  type Counted,
  CROWD_SETTINGS,
  Crowd,
  type Place,
  placesOf,
  startCrowds,
  startFloor,
  writeClients,
} from "./crowd.ts";
import type { Options } from "./options.ts";
import { Processes } from "./processes.ts";
import { median } from "./report.ts";
import type { Scenario, Trial, Value } from "./scenario.ts";
import { type Store, System } from "./system.ts";

const FLAGS = {
  clients: { default: "10000", meaning: "connections the message goes to" },
  messages: { default: "10", meaning: "messages in a trial, one after another" },
  bytes: { default: "100", meaning: "bytes of a message's text" },
  store: { default: "sqlite", meaning: "sqlite or redis" },
};
const EACH = 18_000;
const PROBES = 50;
const PROBE_MS = 50;
const NS_PER_SECOND = 1e9;
const NS_PER_MS = 1e6;
/** Until what a message brought about (acknowledgements) is over. */
const PAUSE_MS = 700;

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

async function trial(options: Options): Promise<Trial> {
  const ours = await measureOurs(options);
  const bare = await measureBare(options);
  const lost = options.number("clients") * options.number("messages") - ours.deliveries;
  const values: Value[] = [
    { name: "deliveries", unit: "deliveries/s", value: ours.perSecond, floor: "deliveries of a bare server" },
    { name: "deliveries of a bare server", unit: "deliveries/s", value: bare.perSecond },
    { name: "said to last delivery", unit: "ms", value: ours.lastMs },
    { name: "said to first delivery", unit: "ms", value: ours.firstMs },
    { name: "ping p99 meanwhile", unit: "ms", value: ours.pingP99Ms },
    { name: "ping p99 of a bare server", unit: "ms", value: bare.pingP99Ms },
    { name: "not delivered, or twice", unit: "deliveries", value: lost + ours.wrong },
  ];
  return { values };
}

async function measureOurs(options: Options): Promise<Measured> {
  await using system = await System.start({
    store: options.text("store") as Store,
    binary: options.binary,
    settings: CROWD_SETTINGS,
  });
  return await measure(system.processes, (await placesOf(system, 1))[0]!, options);
}

async function measureBare(options: Options): Promise<Measured> {
  await using processes = new Processes();
  return await measure(processes, await startFloor(processes), options);
}

interface Measured {
  /** Of the middle message. */
  perSecond: number;
  lastMs: number;
  firstMs: number;
  pingP99Ms: number;
  deliveries: number;
  wrong: number;
}

async function measure(processes: Processes, place: Place, options: Options): Promise<Measured> {
  const clients = options.number("clients");
  const file = await writeClients(processes, clients + PROBES + 1, () => place);
  const readers = await startCrowds(processes, {
    file,
    first: 0,
    count: clients,
    each: EACH,
    more: { restMs: 1 },
  });
  // These ping all the time from a process of their own, and one of them speaks: what they see, the server did.
  const probes = await Crowd.start(processes, {
    file,
    first: clients,
    count: PROBES + 1,
    more: { probeMs: PROBE_MS },
  });
  await Promise.all([...readers, probes].map((crowd) => crowd.ask("connect 100", "connected")));
  await say(readers, probes, options);
  const messages: Said[] = [];
  for (let i = 0; i < options.number("messages"); i++) messages.push(await say(readers, probes, options));
  const middle = (of: (one: Said) => number) => median(messages.map(of));
  const sum = (of: (one: Said) => number) => messages.reduce((total, one) => total + of(one), 0);
  return {
    perSecond: middle(({ lastNs }) => (clients * NS_PER_SECOND) / lastNs),
    lastMs: middle(({ lastNs }) => lastNs / NS_PER_MS),
    firstMs: middle(({ firstNs }) => firstNs / NS_PER_MS),
    pingP99Ms: middle(({ pingP99Ms }) => pingP99Ms),
    deliveries: sum(({ deliveries }) => deliveries),
    wrong: sum(({ wrong }) => wrong),
  };
}

interface Said {
  /** After it was said. */
  firstNs: number;
  lastNs: number;
  pingP99Ms: number;
  deliveries: number;
  wrong: number;
}

/** One message, from its sender's write to the last of its deliveries, and the pings while it was under way. */
async function say(readers: Crowd[], probes: Crowd, options: Options): Promise<Said> {
  await Promise.all(readers.map((crowd) => crowd.ask(`watch ${crowd.count}`, "watching")));
  const all = Promise.all(readers.map((crowd) => crowd.hear("delivered")));
  await probes.ask("clear", "cleared");
  const said = probes.ask(`say 1 0 ${options.number("bytes")} 1`, "said");
  const counted: Counted[] = await all;
  const { ping } = await probes.ask("stats", "stats");
  const { saidNs } = await said;
  await Bun.sleep(PAUSE_MS);
  return {
    firstNs: Math.min(...counted.map(({ firstNs }) => firstNs)) - saidNs,
    lastNs: Math.max(...counted.map(({ lastNs }) => lastNs)) - saidNs,
    pingP99Ms: ping.p99Ms,
    deliveries: counted.reduce((total, { deliveries }) => total + deliveries, 0),
    wrong: counted.reduce((total, { duplicates, holes }) => total + duplicates + holes, 0),
  };
}
