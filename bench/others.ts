/** The same jobs done by what a user could run instead, and by CIM: private messages, messages to all, connections. */
import type { Options } from "./options.ts";
import { BROKERS, type Broker, PROMISES, type Promises } from "./others-brokers.ts";
import { trialOf } from "./others-jobs.ts";
import { trialOfOurs } from "./others-ours.ts";
import type { Case, Scenario } from "./scenario.ts";
import type { Store } from "./system.ts";

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
const OURS: Promises = {
  storedBeforeAcknowledged: "yes: on the disk with SQLite; with Redis as appendfsync says, here always",
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

function caseOfOurs(options: Options, store: Store): Case {
  const settings = settingsOf(options, {
    store,
    processes: "one route, one server",
    logins: "with tokens at the server; those at the route before are not in them",
  });
  return { name: `CIM, ${store}`, settings, trial: () => trialOfOurs(store, options) };
}
