/** A server is killed: how long until all of its clients are back on the others, and who else notices. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { CROWD_SETTINGS, Crowd, placesOf, startCrowds, together, writeClients } from "./crowd.ts";
import type { Options } from "./options.ts";
import type { Scenario, Trial } from "./scenario.ts";
import { type Store, System } from "./system.ts";

const FLAGS = {
  clients: { default: "10000", meaning: "clients of the server that is killed" },
  others: { default: "2", meaning: "servers that are left" },
  store: { default: "sqlite", meaning: "sqlite or redis" },
};
const EACH = 5000;
/** As proc_net(5) writes it. */
const LISTENING = "0A";
/** Clients of another server that ping all the time. */
const PROBES = 100;
const PROBE_MS = 100;
const AT_A_TIME = 100;
const CALM_MS = 2000;
const BACK_WITHIN_MS = 120_000;

export const failover: Scenario = {
  name: "failover",
  sentence: "One server of several is killed with all of its clients, which come back as the SDK does.",
  flags: FLAGS,
  cases: (options) => [
    {
      name: `${options.text("clients")} clients`,
      settings: {
        ...Object.fromEntries(Object.keys(FLAGS).map((name) => [name, options.text(name)])),
        comingBack: "the SDK's default delays; after two tries at the old server, POST /login with the token",
      },
      trial: () => trial(options),
    },
  ],
  plots: [{ title: "Back after the kill", measurements: ["half are back after", "all back after"] }],
};

async function trial(options: Options): Promise<Trial> {
  const count = options.number("clients");
  const others = options.number("others");
  await using system = await System.start({
    store: options.text("store") as Store,
    ...options.programs,
    servers: others + 1,
    // Quiet: what a route says of a dead server would be a line for each of its clients.
    settings: { ...CROWD_SETTINGS, CIM_LOG: "error" },
  });
  const { processes, routeUrl } = system;
  const places = await placesOf(system, others + 1);
  const [dying, other] = places as [(typeof places)[0], (typeof places)[0]];
  const file = await writeClients(processes, count, () => dying);
  const more = { return: 1, route: new URL(routeUrl).host };
  const crowds = await startCrowds(processes, { file, first: 0, count, each: EACH, more });
  const probes = await Crowd.start(processes, {
    file: await writeClients(processes, PROBES, () => other, count),
    first: 0,
    count: PROBES,
    more: { probeMs: PROBE_MS },
  });
  const all = [...crowds, probes];
  await Promise.all(all.map((crowd) => crowd.ask(`connect ${AT_A_TIME}`, "connected")));
  await Bun.sleep(CALM_MS);
  await probes.ask("clear", "cleared");
  await Bun.sleep(CALM_MS);
  const { ping: before } = await probes.ask("stats", "stats");
  await Promise.all(all.map((crowd) => crowd.ask("clear", "cleared")));
  process.kill(pidListening(system.pids, dying.port), "SIGKILL");
  const back = together(await Promise.all(crowds.map((crowd) => crowd.ask("back", "back", BACK_WITHIN_MS))));
  const noticed = await probes.ask("stats", "stats");
  return {
    values: [
      { name: "all back after", unit: "s", value: back.away.maxMs / 1000 },
      { name: "half are back after", unit: "s", value: back.away.p50Ms / 1000 },
      { name: "99 % are back after", unit: "s", value: back.away.p99Ms / 1000 },
      { name: "logins at the route", unit: "logins", value: back.resumes },
      { name: "others: ping p99 before", unit: "ms", value: before.p99Ms },
      { name: "others: ping p99 meanwhile", unit: "ms", value: noticed.ping.p99Ms },
      { name: "others: slowest ping meanwhile", unit: "ms", value: noticed.ping.maxMs },
      { name: "others: connections lost", unit: "connections", value: noticed.closed },
    ],
  };
}

/** Which of these processes listens on the port (proc_net(5), proc_pid_fd(5)). */
function pidListening(pids: Record<string, number>, port: number): number {
  const address = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((row) => row.trim().split(/\s+/));
  const sockets = rows
    .filter(([, local, , state]) => local?.endsWith(address) && state === LISTENING)
    .map((row) => `socket:[${row[9]}]`);
  const found = Object.values(pids).find((pid) => {
    const files = readdirSync(`/proc/${pid}/fd`).map((fd) => join("/proc", String(pid), "fd", fd));
    return files.some((file) => sockets.includes(targetOf(file)));
  });
  if (found === undefined) throw new Error(`none of ${Object.values(pids).join(", ")} listens on ${port}`);
  return found;
}

function targetOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return ""; // closed meanwhile
  }
}
