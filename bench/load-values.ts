/** What a run of the load generator comes to. */
import type { Driven, Observed } from "./load.ts";
import type { Processor } from "./processes.ts";
import type { Value } from "./scenario.ts";

const MICROSECONDS = 1e6;

/** Of a run: what got through, how long it took, and what a message cost each part. */
export function valuesOf(driven: Driven): Value[] {
  const { observed, spent, idlePart, redisCommands } = driven;
  const { seconds, receipt, delivery } = observed;
  const wrong = observed.lost + observed.disordered + observed.holes;
  return [
    {
      name: "stored and delivered",
      unit: "messages/s",
      value: Math.min(observed.accepted, observed.delivered) / seconds,
    },
    { name: "accepted", unit: "messages/s", value: observed.accepted / seconds },
    { name: "delivered", unit: "messages/s", value: observed.delivered / seconds },
    { name: "receipt p50", unit: "ms", value: receipt.p50Ms },
    { name: "receipt p99", unit: "ms", value: receipt.p99Ms },
    { name: "delivery p50", unit: "ms", value: delivery.p50Ms },
    { name: "delivery p99", unit: "ms", value: delivery.p99Ms },
    { name: "accepted and not delivered at the end", unit: "messages", value: Math.max(0, observed.backlog) },
    { name: "lost or out of order", unit: "messages", value: wrong },
    { name: "came twice, and dropped by its number", unit: "messages", value: observed.duplicates },
    { name: "refused", unit: "messages", value: observed.refused },
    ...Object.entries(spent).flatMap(([part, { user, system }]) => [
      cost(`${part}: processor`, user + system, observed),
      cost(`${part}: of it in the kernel`, system, observed),
    ]),
    cost("all parts: processor", sum(Object.entries(spent).filter(([part]) => part !== "load")), observed),
    { name: "so much processor time is there for", unit: "messages/s", value: fitting(driven) },
    ...(redisCommands === undefined ? [] : [per("redis: commands", "a message", redisCommands, observed)]),
    { name: "load generator: busy", unit: "% of a core", value: (observed.processorSeconds / seconds) * 100 },
    { name: "all cores: idle", unit: "%", value: idlePart * 100 },
  ];
}

/** Messages a second for which all cores would do, were nothing else on the machine: a guess where something else is. */
function fitting({ observed, spent }: Driven): number {
  return (observed.accepted * navigator.hardwareConcurrency) / sum(Object.entries(spent));
}

function sum(parts: [string, Processor][]): number {
  return parts.reduce((seconds, [, { user, system }]) => seconds + user + system, 0);
}

function cost(name: string, seconds: number, observed: Observed): Value {
  return per(name, "µs/message", seconds * MICROSECONDS, observed);
}

function per(name: string, unit: string, value: number, { accepted }: Observed): Value {
  return { name, unit, value: value / Math.max(1, accepted) };
}
