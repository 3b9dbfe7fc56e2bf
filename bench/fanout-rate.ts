/** Messages to everyone, many a second, for a while: whether all come, and how late. */
import { CROWD_SETTINGS, Crowd, placesOf, remarkOn, startCrowds, together, writeClients } from "./crowd.ts";
import type { Options } from "./options.ts";
import { Meter } from "./processes.ts";
import type { Scenario, Trial } from "./scenario.ts";
import { type Store, System } from "./system.ts";
import { windows } from "./windows.ts";

const FLAGS = {
  clients: { default: "5000", meaning: "connections" },
  rate: { default: "40", meaning: "messages to everyone in a second" },
  window: { default: "10", meaning: "seconds in a trial; trials follow one another without a pause" },
  bytes: { default: "100", meaning: "bytes of a message's text" },
  store: { default: "sqlite", meaning: "sqlite or redis" },
};
const EACH = 18_000;
const AT_A_TIME = 100;
const PROBES = 50;
const PROBE_MS = 100;
/** How long the last deliveries of a window may take before they count as missing. */
const LATE_MS = 15_000;
const MICROSECONDS = 1e6;

export const fanoutRate: Scenario = {
  name: "fanout-rate",
  sentence: "Messages to everyone at a steady rate, each acknowledged by all, for half a minute.",
  flags: FLAGS,
  cases: (options) => [
    {
      name: `${options.text("rate")} a second to ${options.text("clients")}`,
      settings: {
        ...Object.fromEntries(Object.keys(FLAGS).map((name) => [name, options.text(name)])),
        trials: "one after another, on the same connections",
      },
      trial: windows(() => run(options)),
    },
  ],
  plots: [{ title: "Delivery", measurements: ["delivery p50", "delivery p99"] }],
};

async function run(options: Options): Promise<Trial[]> {
  const count = options.number("clients");
  await using system = await System.start({
    store: options.text("store") as Store,
    ...options.programs,
    settings: CROWD_SETTINGS,
  });
  const { processes, pids } = system;
  const place = (await placesOf(system, 1))[0]!;
  const file = await writeClients(processes, count + PROBES + 1, () => place);
  const readers = await startCrowds(processes, { file, first: 0, count, each: EACH, more: { restMs: 1 } });
  const speaker = await Crowd.start(processes, {
    file,
    first: count,
    count: PROBES + 1,
    more: { probeMs: PROBE_MS },
  });
  await Promise.all([...readers, speaker].map((crowd) => crowd.ask(`connect ${AT_A_TIME}`, "connected")));
  await window({ readers, speaker, pids }, options, options.warmUpSeconds);
  const trials: Trial[] = [];
  for (let i = 0; i < options.trials; i++)
    trials.push(await window({ readers, speaker, pids }, options, options.number("window")));
  return trials;
}

interface Parts {
  readers: Crowd[];
  speaker: Crowd;
  pids: Record<string, number>;
}

async function window({ readers, speaker, pids }: Parts, options: Options, seconds: number): Promise<Trial> {
  const rate = options.number("rate");
  const messages = Math.round(rate * seconds);
  const within = seconds * 1000 + LATE_MS;
  const before = together(await Promise.all(readers.map((crowd) => crowd.ask("stats", "stats"))));
  await Promise.all(readers.map((crowd) => crowd.ask(`watch ${crowd.count * messages}`, "watching")));
  const all = Promise.allSettled(readers.map((crowd) => crowd.hear("delivered", within)));
  await speaker.ask("clear", "cleared");
  const meter = new Meter(pids);
  await speaker.ask(`say ${messages} ${rate} ${options.number("bytes")} 1`, "said", within);
  await all;
  const spent = meter.spent();
  const seen = together(await Promise.all(readers.map((crowd) => crowd.ask("stats", "stats"))));
  const { receipt, ping } = await speaker.ask("stats", "stats");
  const busy = (seen.processorSeconds - before.processorSeconds) / seconds / readers.length;
  const wanted = options.number("clients") * messages;
  const cost = (name: string) => {
    const { user, system } = spent[name]!;
    return ((user + system) * MICROSECONDS) / wanted;
  };
  return {
    values: [
      { name: "delivery p99", unit: "ms", value: seen.delivery.p99Ms },
      { name: "delivery p50", unit: "ms", value: seen.delivery.p50Ms },
      {
        name: "not delivered, or twice",
        unit: "deliveries",
        value: wanted - seen.deliveries + seen.duplicates,
      },
      { name: "slowest delivery", unit: "ms", value: seen.delivery.maxMs },
      { name: "receipt p99", unit: "ms", value: receipt.p99Ms },
      { name: "ping p99 meanwhile", unit: "ms", value: ping.p99Ms },
      { name: "deliveries", unit: "deliveries/s", value: seen.deliveries / seconds },
      { name: "server: processor", unit: "µs/delivery", value: cost("server") },
      { name: "route: processor", unit: "µs/delivery", value: cost("route") },
      { name: "read from the log", unit: "deliveries", value: seen.readOn },
    ],
    remarks: remarkOn(busy),
  };
}
