/** The same jobs done by what a user could run instead, and by CIM: private messages, messages to all, connections. */
import { CROWD_SETTINGS, Crowd, placesOf, remarkOn, startCrowds, writeClients } from "./crowd.ts";
import { drive, systemTarget } from "./load.ts";
import { compile } from "./native.ts";
import type { Options } from "./options.ts";
import { BROKERS, type Broker, PROMISES, type Promises } from "./others-brokers.ts";
import { Meter, Processes, residentBytesOf } from "./processes.ts";
import { median } from "./report.ts";
import type { Case, Scenario, Trial, Value } from "./scenario.ts";
import { type Store, System } from "./system.ts";
import { Talker } from "./talker.ts";

const FLAGS = {
  clients: { default: "1000", meaning: "clients that chat, in pairs" },
  window: { default: "16", meaning: "messages each of them has under way" },
  connections: { default: "3000", meaning: "connections for the rest" },
  text: { default: "100", meaning: "bytes of a message" },
  which: {
    default: "cim,mosquitto,nats,ejabberd",
    meaning: "which of them, by the beginning of their names",
  },
};
/** There are many of them, and little to warm up: the parts of what was asked for that they take. */
const PART_CHATTING = 1 / 2;
const PART_WARMING_UP = 1 / 3;
const PART_SETTLING = 1 / 4;
const TO_ALL = 5;
const AT_A_TIME = 100;
const PAUSE_MS = 400;
const MICROSECONDS = 1e6;
/** So that those who chat are not those who were there before. */
const CHATTERS = 500_000;

const OURS: Promises = {
  storedBeforeAcknowledged: "yes: SQLite's log is synced; Redis's is written, and synced every second",
  survivesKill9: "yes",
  order: "of each conversation",
  exactlyOnce: "yes, to the receiving application",
  history: "yes, 7 days",
};

export const others: Scenario = {
  name: "others",
  sentence:
    "The same jobs by other servers, as Debian ships them, with clients as light as ours. What they promise is not the same.",
  flags: FLAGS,
  versions: {
    mosquitto: ["mosquitto", "-h"],
    nats: ["nats-server", "--version"],
    ejabberd: ["dpkg-query", "-W", "ejabberd"],
    redis: ["redis-server", "--version"],
  },
  cases: (options) => {
    const wanted = options.texts("which").map((name) => name.toLowerCase());
    return [
      caseOfOurs(options, "sqlite"),
      caseOfOurs(options, "redis"),
      ...BROKERS.flatMap((one) => caseOf(one, options)),
    ].filter(({ name }) => wanted.some((prefix) => name.toLowerCase().startsWith(prefix)));
  },
  notes: promised(),
  plots: [
    { title: "Private messages, acknowledged", measurements: ["private: acknowledged"] },
    { title: "To all", measurements: ["to all: deliveries"] },
    { title: "Memory of a connection", measurements: ["memory of a connection"] },
    { title: "Logins", measurements: ["logins"] },
  ],
};

/** A table of what each says it promises. */
function promised(): string {
  const all = [{ name: "CIM", promises: OURS }, ...BROKERS];
  const row = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [
    "What each promises; of the others by their documentation, which was not tried here:",
    "",
    row(["", ...Object.values(PROMISES)]),
    row(["---", ...Object.values(PROMISES).map(() => "---")]),
    ...all.map(({ name, promises }) =>
      row([name, ...Object.keys(PROMISES).map((key) => promises[key as keyof Promises])]),
    ),
  ].join("\n");
}

function settingsOf(options: Options, more: object): Record<string, unknown> {
  return {
    chatting: options.number("clients"),
    window: options.number("window"),
    connections: options.number("connections"),
    textBytes: options.number("text"),
    ...more,
  };
}

/** None where the program is not installed. */
function caseOf(broker: Broker, options: Options): Case[] {
  if (!Bun.which(broker.program)) {
    console.error(`others: ${broker.name} is not measured: there is no ${broker.program} in PATH`);
    return [];
  }
  const connections = Math.min(
    options.number("connections"),
    broker.maxConnections ?? Number.POSITIVE_INFINITY,
  );
  const settings = settingsOf(options, {
    connections,
    window: broker.window ?? options.number("window"),
    ...broker.settings,
  });
  return [{ name: broker.name, settings, trial: () => trialOf(broker, connections, options) }];
}

/** What native/others.c answers; each answer has a part of it. */
interface Line {
  event: string;
  in: number;
  refused: number;
  seconds: number;
  accepted: number;
  delivered: number;
  deliveries: number;
  lastMs: number;
  processorSeconds: number;
  receipt: { p50Ms: number; p99Ms: number };
  delivery: { p50Ms: number; p99Ms: number };
}

async function startClients(
  processes: Processes,
  { name, protocol }: Broker,
  port: number,
  count: number,
  first = 0,
): Promise<Talker<Line>> {
  const options = [`protocol=${protocol}`, `port=${port}`, `count=${count}`, `first=${first}`];
  const clients = new Talker<Line>(processes, [compile("others"), ...options], `clients of ${name}`);
  await clients.hear("ready");
  return clients;
}

async function trialOf(broker: Broker, connections: number, options: Options): Promise<Trial> {
  await using processes = new Processes();
  const { port, pid } = await broker.start(processes);
  const before = residentBytesOf(pid);
  const text = options.number("text");
  const idle = await startClients(processes, broker, port, connections);
  const joined = await idle.ask(`connect ${AT_A_TIME}`, "connected");
  await Bun.sleep(options.seconds * PART_SETTLING * 1000);
  const memory = (residentBytesOf(pid) - before) / connections;
  const said: number[] = [];
  for (let i = 0; broker.hasEveryone && i <= TO_ALL; i++) {
    said.push((await idle.ask(`say ${text}`, "said")).lastMs);
    await Bun.sleep(PAUSE_MS);
  }
  await idle.end();
  const chatters = await startClients(processes, broker, port, options.number("clients"), CHATTERS);
  await chatters.ask(`connect ${AT_A_TIME}`, "connected");
  const measuring = chatters.hear("measuring");
  const times = [options.warmUpSeconds * PART_WARMING_UP, options.seconds * PART_CHATTING];
  const milliseconds = times.map((seconds) => Math.round(seconds * 1000)).join(" ");
  const window = broker.window ?? options.number("window");
  const chatted = chatters.ask(`chat ${window} ${text} ${milliseconds}`, "chatted");
  await measuring;
  const meter = new Meter({ broker: pid });
  const chat = await chatted;
  const { user, system } = meter.spent().broker;
  return {
    values: [
      ...chatValues(chat, user + system),
      ...(broker.hasEveryone ? [toAll(said, connections)] : []),
      { name: "memory of a connection", unit: "bytes", value: memory },
      { name: "logins", unit: "logins/s", value: joined.in / joined.seconds },
    ],
    remarks: [
      ...remarkOn(chat.processorSeconds / chat.seconds),
      ...(joined.refused > 0 ? [`${joined.refused} of ${connections} connections were refused`] : []),
    ],
  };
}

function chatValues(
  chat: Pick<Line, "seconds" | "accepted" | "delivered" | "receipt" | "delivery">,
  cores: number,
): Value[] {
  return [
    { name: "private: acknowledged", unit: "messages/s", value: chat.accepted / chat.seconds },
    { name: "private: delivered", unit: "messages/s", value: chat.delivered / chat.seconds },
    { name: "private: acknowledgement p50", unit: "ms", value: chat.receipt.p50Ms },
    { name: "private: acknowledgement p99", unit: "ms", value: chat.receipt.p99Ms },
    { name: "private: delivery p99", unit: "ms", value: chat.delivery.p99Ms },
    {
      name: "private: processor",
      unit: "µs/message",
      value: (cores * MICROSECONDS) / Math.max(1, chat.accepted),
    },
  ];
}

/** The first warms up. */
function toAll([, ...lastMs]: number[], connections: number): Value {
  return { name: "to all: deliveries", unit: "deliveries/s", value: (connections * 1000) / median(lastMs) };
}

function caseOfOurs(options: Options, store: Store): Case {
  const settings = settingsOf(options, {
    store,
    processes: "one route, one server",
    logins: "with tokens at the server; those at the route before are not in them",
  });
  return { name: `CIM, ${store}`, settings, trial: () => trialOfOurs(store, options) };
}

async function trialOfOurs(store: Store, options: Options): Promise<Trial> {
  const connections = options.number("connections");
  const idle = await measureConnections(store, connections, options);
  await using system = await System.start({ store, binary: options.binary, settings: CROWD_SETTINGS });
  const { observed, spent, remarks } = await drive(
    {
      clients: options.number("clients"),
      window: options.number("window"),
      textBytes: options.number("text"),
      warmUpSeconds: options.warmUpSeconds * PART_WARMING_UP,
      seconds: options.seconds * PART_CHATTING,
    },
    systemTarget(system),
  );
  const cores = Object.entries(spent)
    .filter(([part]) => part !== "load")
    .reduce((sum, [, one]) => sum + one.user + one.system, 0);
  return {
    values: [
      ...chatValues(observed, cores),
      toAll(idle.said, connections),
      { name: "memory of a connection", unit: "bytes", value: idle.memory },
      { name: "logins", unit: "logins/s", value: idle.logins },
    ],
    remarks,
  };
}

async function measureConnections(store: Store, connections: number, options: Options) {
  await using system = await System.start({ store, binary: options.binary, settings: CROWD_SETTINGS });
  const { processes, pids } = system;
  const place = (await placesOf(system, 1))[0]!;
  const before = residentBytesOf(pids.server!);
  const file = await writeClients(processes, connections + 1, () => place);
  const speaker = await Crowd.start(processes, { file, first: connections, count: 1 });
  const crowds = await startCrowds(processes, { file, first: 0, count: connections, each: connections });
  await speaker.ask("connect 1", "connected");
  const [crowd] = crowds as [Crowd];
  const joined = await crowd.ask(`connect ${AT_A_TIME}`, "connected");
  await Bun.sleep(options.seconds * PART_SETTLING * 1000);
  const memory = (residentBytesOf(pids.server!) - before) / connections;
  const said: number[] = [];
  for (let i = 0; i <= TO_ALL; i++) {
    await crowd.ask(`watch ${connections}`, "watching");
    const delivered = crowd.hear("delivered");
    const { saidNs } = await speaker.ask(`say 1 0 ${options.number("text")} 1`, "said");
    said.push(((await delivered).lastNs - saidNs) / 1e6);
    await Bun.sleep(PAUSE_MS);
  }
  return { memory, said, logins: (connections * 1e9) / (joined.lastInNs - joined.beganNs) };
}
