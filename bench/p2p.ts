/** Private messages over connections: stored, delivered and acknowledged, as fast as they get through. */
import { drive, type Load, systemTarget, valuesOf } from "./load.ts";
import type { Options } from "./options.ts";
import { BenchError, type Case, type Scenario } from "./scenario.ts";
import { type Store, System } from "./system.ts";

const STORES = ["sqlite", "redis"];

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
  plots: [],
};

/** @throws BenchError */
export function storesOf(options: Options): Store[] {
  const stores = options.texts("store");
  const unknown = stores.filter((store) => !STORES.includes(store));
  if (unknown.length > 0) throw new BenchError(`--store ${unknown}: want some of ${STORES.join(",")}`);
  return stores as Store[];
}

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
    async trial() {
      await using system = await System.start({ store, binary: options.binary });
      const driven = await drive(load, systemTarget(system));
      return { values: valuesOf(driven), remarks: driven.remarks };
    },
  };
}
