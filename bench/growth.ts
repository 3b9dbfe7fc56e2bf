/** Whether a message costs more when more are online who have nothing to do with it. */
import { messageTrial, storesOf } from "./messages.ts";
import type { Scenario } from "./scenario.ts";

export const growth: Scenario = {
  name: "growth",
  sentence: "What a private message costs each part while few, some and many others are online and silent.",
  flags: {
    store: { default: "redis", meaning: "what keeps the messages: sqlite, redis, or both" },
    online: { default: "10,1000,15000", meaning: "clients that are connected" },
    chatting: { default: "10", meaning: "of them, those who chat, in pairs" },
    rate: { default: "5000", meaning: "messages offered in a second, over all of those" },
    text: { default: "100", meaning: "bytes of text in a message" },
  },
  versions: { redis: ["redis-server", "--version"] },
  cases: (options) =>
    storesOf(options).flatMap((store) =>
      options.numbers("online").map((clients) => {
        const load = {
          clients,
          active: options.number("chatting"),
          window: 64,
          rate: options.number("rate"),
          textBytes: options.number("text"),
          warmUpSeconds: options.warmUpSeconds,
          seconds: options.seconds,
        };
        return {
          name: `${store}, ${clients} online`,
          settings: { store, ...load },
          trial: () => messageTrial(load, { store, ...options.programs }),
        };
      }),
    ),
  plots: [
    {
      title: "Processor time of all parts but the load generator",
      measurements: ["all parts: processor"],
    },
  ],
};
