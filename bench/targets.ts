/** What is to be reached, and where in the reports it stands. A target nobody measured yet has no `found`. */
import type { CaseReport, Measurement, Report } from "./report.ts";

export interface Target {
  what: string;
  wanted: string;
  /** Whose report it is in. */
  scenario: string;
  found: (report: Report) => Found | null;
}

export interface Found {
  /** What was measured, with its unit. */
  shown: string;
  met: boolean;
}

const shown = (value: number, unit: string) =>
  `${value.toLocaleString("en", { maximumFractionDigits: 2 })} ${unit}`;

/** The first case whose name contains `name`. */
function caseIn(report: Report, name: string): CaseReport | undefined {
  return report.cases.find((one) => one.name.includes(name));
}

export function measured(report: Report, caseName: string, measurement: string): Measurement | undefined {
  return caseIn(report, caseName)?.measurements.find(({ name }) => name === measurement);
}

/** Of the cases whose name contains `name`, that in which `measurement` is largest. */
function best(
  report: Report,
  name: string,
  measurement: string,
): { name: string; found: Measurement } | null {
  const all = report.cases
    .filter((one) => one.name.includes(name))
    .flatMap((one) => {
      const found = one.measurements.find((candidate) => candidate.name === measurement);
      return found ? [{ name: one.name, found }] : [];
    });
  return all.toSorted((a, b) => b.found.median - a.found.median)[0] ?? null;
}

export function atLeast(limit: number, caseName: string, measurement: string) {
  return (report: Report): Found | null => {
    const top = best(report, caseName, measurement);
    if (!top) return null;
    const { found, name } = top;
    return { shown: `${shown(found.median, found.unit)} (${name})`, met: found.median >= limit };
  };
}

/** Each of `limits`, by the name of its measurement, in one case. What must not happen at all must not in any trial. */
export function atMost(caseName: string, limits: Record<string, number>) {
  return (report: Report): Found | null => {
    const all = Object.entries(limits).flatMap(([name, limit]) => {
      const found = measured(report, caseName, name);
      if (!found) return [];
      const value = limit === 0 ? Math.max(...found.trials) : found.median;
      return [{ shown: `${name} ${shown(value, found.unit)}`, met: value <= limit }];
    });
    if (all.length < Object.keys(limits).length) return null;
    return { shown: all.map((one) => one.shown).join(", "), met: all.every(({ met }) => met) };
  };
}

/** The ratio to the floor of the same run. */
export function ratio(caseName: string, measurement: string, met: (ratio: number) => boolean) {
  return (report: Report): Found | null => {
    const found = measured(report, caseName, measurement);
    if (found?.ratio === undefined) return null;
    return {
      shown: `${shown(found.ratio, "of the floor")} (${shown(found.median, found.unit)})`,
      met: met(found.ratio),
    };
  };
}

/** How far apart a measurement is in the cases whose name contains `name`, as a part of the least. */
function spread(name: string, measurement: string, limit: number) {
  return (report: Report): Found | null => {
    const all = report.cases
      .filter((one) => one.name.includes(name))
      .flatMap((one) => one.measurements.filter((candidate) => candidate.name === measurement));
    if (all.length < 2) return null;
    const values = all.map(({ median }) => median);
    const part = Math.max(...values) / Math.min(...values) - 1;
    const each = values.map((value) => value.toLocaleString("en", { maximumFractionDigits: 1 })).join(", ");
    return { shown: `${Math.round(part * 100)} % (${each} ${all[0]!.unit})`, met: part <= limit };
  };
}

export const TARGETS: readonly Target[] = [
  {
    what: "p2p over connections, Redis: stored, delivered and acknowledged",
    wanted: "≥ 60,000 messages/s",
    scenario: "p2p",
    found: atLeast(60_000, "redis", "stored and delivered"),
  },
  {
    what: "the same on the embedded engine, durable",
    wanted: "≥ 60,000 messages/s",
    scenario: "p2p",
    found: atLeast(60_000, "sqlite", "stored and delivered"),
  },
  {
    what: "p2p at 20,000 messages/s offered, Redis",
    wanted: "receipt p99 ≤ 10 ms, delivery p99 ≤ 15 ms",
    scenario: "p2p-offered",
    found: atMost("redis, 20000", { "receipt p99": 10, "delivery p99": 15 }),
  },
  {
    what: "p2p over HTTP (`/p2pRoute`), Redis",
    wanted: "≥ 35,000 messages/s",
    scenario: "p2p-http",
    found: atLeast(35_000, "redis", "stored and delivered"),
  },
  {
    what: "growth: processor time of a message with 10, 1,000 and 15,000 online",
    wanted: "within 15 %",
    scenario: "growth",
    found: spread("redis", "all parts: processor", 0.15),
  },
  {
    what: "`bun run start` ready",
    wanted: "≤ 300 ms",
    scenario: "start",
    found: atMost("bun start.ts", { ready: 300 }),
  },
  {
    what: "the compiled binary ready",
    wanted: "≤ 150 ms",
    scenario: "start",
    found: atMost("dist/cim", { ready: 150 }),
  },
  {
    what: "resident memory of `dist/cim` idle",
    wanted: "≤ 90 MB",
    scenario: "start",
    found: atMost("dist/cim", { "resident memory, idle": 85.83 }), // MiB
  },
  {
    what: "memory of a logged-in idle session in the server, beyond the bare process",
    wanted: "≤ 2.0 KB",
    scenario: "memory",
    found: atMost("idle sessions", { "resident, each": 2048 }),
  },
  {
    what: "100,000 idle connections over several server processes, heartbeats every 60 s",
    wanted: "held; ≤ 8 % of one core; heartbeats never late by more than 1 s",
    scenario: "idle",
    found: atMost("100000", {
      "servers: processor": 8,
      "heartbeat late at most": 1000,
      "connections lost": 0,
    }),
  },
  {
    what: "19,000 clients connecting and logging in with tokens at once to one server process",
    wanted: "all in within 3 s, none hanging, none refused",
    scenario: "storm",
    found: atMost("19000", { "all in after": 3000, refused: 0, "hanging for 10 s": 0, "closed again": 0 }),
  },
  {
    what: "a server process near its limit of open files",
    wanted: "refuses newcomers with a reason, is no longer picked, and serves those it has",
    scenario: "limit",
    found: atMost("", {
      "newcomers told nothing": 0,
      "logins given the full server": 0,
      "connections lost": 0,
    }),
  },
  {
    what: "a server with 10,000 clients killed: all back on the others",
    wanted: "≤ 15 s, and no other client notices",
    scenario: "failover",
    found: atMost("", { "all back after": 15, "others: connections lost": 0 }),
  },
  {
    what: "one `all` message to 10,000: deliveries/s against the floor; heartbeats meanwhile",
    wanted: "≥ 0.85; p99 ≤ 5 ms",
    scenario: "fanout",
    found: both(
      ratio("10000", "deliveries", (part) => part >= 0.85),
      atMost("10000", { "ping p99 meanwhile": 5 }),
    ),
  },
  {
    what: "one `all` message to 100,000 over several processes: last byte",
    wanted: "≤ 1.5 × the floor",
    scenario: "fanout-100k",
    found: both(
      ratio("", "last delivery", (part) => part <= 1.5),
      atMost("", { "not delivered, or twice": 0 }),
    ),
  },
  {
    what: "`all` at 40 messages/s to 5,000 online, 30 s",
    wanted: "every delivery made, p99 ≤ 1 s",
    scenario: "fanout-rate",
    found: atMost("", { "delivery p99": 1000, "not delivered, or twice": 0 }),
  },
];

type Finder = Target["found"];

function both(first: Finder, second: Finder): Finder {
  return (report) => {
    const [a, b] = [first(report), second(report)];
    return a && b && { shown: `${a.shown}; ${b.shown}`, met: a.met && b.met };
  };
}
