/** Private messages at a rate that is given, whatever comes back: how long they take. */
import { messageTrial, storesOf } from "./messages.ts";
import type { Scenario } from "./scenario.ts";

export const p2pOffered: Scenario = {
  name: "p2p-offered",
  sentence:
    "Private messages offered at a steady rate over connections: time from when each was due to its receipt and to its delivery.",
  flags: {
    store: { default: "redis", meaning: "what keeps the messages: sqlite, redis, or both" },
    rate: { default: "10000,20000,40000", meaning: "messages offered in a second, over all clients" },
    clients: { default: "1000", meaning: "clients, which chat in pairs" },
    text: { default: "100", meaning: "bytes of text in a message" },
    window: { default: "64", meaning: "messages that waited for a receipt and go in one frame, at most" },
  },
  versions: { redis: ["redis-server", "--version"] },
  cases: (options) =>
    options.numbers("rate").flatMap((rate) =>
      storesOf(options).map((store) => {
        const load = {
          clients: options.number("clients"),
          window: options.number("window"),
          rate,
          textBytes: options.number("text"),
          warmUpSeconds: options.warmUpSeconds,
          seconds: options.seconds,
        };
        return {
          name: `${store}, ${rate} messages/s offered`,
          settings: { store, ...load },
          trial: () => messageTrial(load, { store, ...options.programs }),
        };
      }),
    ),
  plots: [
    { title: "From due to receipt", measurements: ["receipt p50", "receipt p99"], log: true },
    { title: "From due to delivery", measurements: ["delivery p50", "delivery p99"], log: true },
  ],
};
