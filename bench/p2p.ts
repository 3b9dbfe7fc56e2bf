/** Private messages over connections: stored, delivered and acknowledged, and what each part of the system spends on one. */
import type { Load, Observed } from "./load.ts";
import { costOf, freePort, Processes } from "./processes.ts";
import { type Measurement, printReport } from "./report.ts";

const TRIALS = 3;
const MICROSECONDS = 1e6;

const LOAD: Omit<Load, "routeUrl"> = {
  clients: 1000,
  window: 1,
  perSecond: 0,
  textBytes: 100,
  warmUpMs: 3000,
  measureMs: 8000,
};

export async function p2p(): Promise<void> {
  const trials: Awaited<ReturnType<typeof trial>>[] = [];
  for (let i = 0; i < TRIALS; i++) trials.push(await trial());
  const measurement = (
    name: string,
    unit: string,
    of: (one: (typeof trials)[number]) => number,
  ): Measurement => ({
    name,
    unit,
    trials: trials.map(of),
  });
  printReport({
    scenario: "p2p",
    command: "bun run bench p2p",
    settings: {
      ...LOAD,
      trials: TRIALS,
      store: "sqlite",
      processes: "one route, one server, one load generator",
    },
    measurements: [
      measurement("accepted", "messages/s", (one) => one.perSecond(one.observed.accepted)),
      measurement("delivered", "messages/s", (one) => one.perSecond(one.observed.delivered)),
      measurement("refused", "messages", (one) => one.observed.refused),
      measurement("receipt p50", "ms", (one) => one.observed.receiptMs.p50),
      measurement("receipt p99", "ms", (one) => one.observed.receiptMs.p99),
      measurement("delivery p50", "ms", (one) => one.observed.deliveryMs.p50),
      measurement("delivery p99", "ms", (one) => one.observed.deliveryMs.p99),
      ...(["route", "server", "load"] as const).map((part) =>
        measurement(
          `${part}: processor time`,
          "µs/message",
          (one) => (one.seconds[part] * MICROSECONDS) / one.observed.accepted,
        ),
      ),
      measurement(
        "load generator: processor",
        "% of a core",
        (one) => (one.seconds.load * 1e5) / one.observed.measuredMs,
      ),
    ],
  });
}

async function trial() {
  const processes = new Processes();
  const routePort = await freePort();
  const routeUrl = `http://127.0.0.1:${routePort}`;
  const settings = {
    CIM_AUTH: "open",
    CIM_ROUTE_PORT: routePort,
    CIM_ROUTE_URL: routeUrl,
    CIM_MAX_MESSAGES_PER_SECOND: 1_000_000,
  };
  try {
    const route = await processes.start("route/main.ts", settings);
    const server = await processes.start("server/main.ts", {
      ...settings,
      CIM_SERVER_PORT: 0,
      CIM_SERVER_HTTP_PORT: 0,
    });
    const pids = { route, server };
    const { observed, spent } = await drive({ ...LOAD, routeUrl }, pids);
    const perSecond = (count: number) => Math.round((count * 1000) / observed.measuredMs);
    return { observed, perSecond, seconds: { ...spent, load: observed.processorSeconds } };
  } finally {
    await processes.end();
  }
}

/** Runs the load generator, and reads what the others spent while it measured. */
async function drive<P extends string>(
  load: Load,
  pids: Record<P, number>,
): Promise<{ observed: Observed; spent: Record<P, number> }> {
  const names = Object.keys(pids) as P[];
  const costs = () => names.map((name) => costOf(pids[name]).seconds);
  const child = Bun.spawn([process.execPath, "bench/load.ts", JSON.stringify(load)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const decoder = new TextDecoder();
  let text = "";
  let before: number[] | null = null;
  let after: number[] | null = null;
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("measuring\n")) before ??= costs();
    if (text.includes("measured\n")) after ??= costs();
  }
  if (!before || !after) throw new Error("the load generator ended early");
  const spent = names.map((name, i) => [name, after[i]! - before[i]!]);
  return { observed: JSON.parse(text.trim().split("\n").at(-1)!), spent: Object.fromEntries(spent) };
}
