/** Private messages by POST /p2pRoute, as fast as they get through. */
import { messageTrial, storesOf } from "./messages.ts";
import type { Scenario } from "./scenario.ts";

export const p2pHttp: Scenario = {
  name: "p2p-http",
  sentence:
    "Private messages by POST /p2pRoute, each client one request at a time over a connection that stays, with its token; delivered over the receivers' connections.",
  flags: {
    store: { default: "redis", meaning: "what keeps the messages: sqlite, redis, or both" },
    clients: { default: "256", meaning: "clients, which chat in pairs; as many requests at a time" },
    text: { default: "100", meaning: "bytes of text in a message" },
  },
  versions: { redis: ["redis-server", "--version"] },
  cases: (options) =>
    options.numbers("clients").flatMap((clients) =>
      storesOf(options).map((store) => {
        const load = {
          clients,
          window: 1,
          textBytes: options.number("text"),
          warmUpSeconds: options.warmUpSeconds,
          seconds: options.seconds,
          http: true,
        };
        return {
          name: `${store}, ${clients} clients`,
          settings: { store, ...load },
          trial: () => messageTrial(load, { store, ...options.programs }),
        };
      }),
    ),
  plots: [{ title: "Stored, acknowledged and delivered", measurements: ["stored and delivered"], log: true }],
};
