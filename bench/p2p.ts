/** Private messages over connections: stored, delivered and acknowledged, as fast as they get through. */
import type { Load } from "./load.ts";
import { messageTrial, storesOf } from "./messages.ts";
import type { Options } from "./options.ts";
import type { Case, Scenario } from "./scenario.ts";
import type { Store } from "./system.ts";

export const p2p: Scenario = {
  name: "p2p",
  sentence:
    "Private messages over connections, as fast as they get through: each is stored, acknowledged to its sender and delivered.",
  flags: {
    store: { default: "sqlite,redis", meaning: "what keeps the messages" },
    window: { default: "1,16,64", meaning: "messages a client has under way" },
    clients: { default: "1000", meaning: "clients, which chat in pairs" },
    text: { default: "100", meaning: "bytes of text in a message" },
  },
  versions: { redis: ["redis-server", "--version"] },
  cases: (options) =>
    options
      .numbers("window")
      .flatMap((window) => storesOf(options).map((store) => caseOf(options, store, window))),
  plots: [
    { title: "Stored, acknowledged and delivered", measurements: ["stored and delivered"], log: true },
    {
      title: "Processor time of a message, by part",
      measurements: ["route: processor", "server: processor", "redis: processor", "load: processor"],
    },
  ],
};

function caseOf(options: Options, store: Store, window: number): Case {
  const load: Load = {
    clients: options.number("clients"),
    window,
    textBytes: options.number("text"),
    warmUpSeconds: options.warmUpSeconds,
    seconds: options.seconds,
  };
  return {
    name: `${store}, window ${window}`,
    settings: { store, ...load },
    trial: () => messageTrial(load, { store, ...options.programs }),
  };
}
