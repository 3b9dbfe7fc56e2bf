/** A server whose limit of open files is reached: whom it serves, whom it turns away and how, and whether it is picked. */
import {
  CROWD_SETTINGS,
  Crowd,
  type Place,
  placeOfLogin,
  placesOf,
  together,
  writeClients,
} from "./crowd.ts";
import type { Options } from "./options.ts";
import type { Scenario, Trial } from "./scenario.ts";
import { System } from "./system.ts";

const FLAGS = {
  files: { default: "2000", meaning: "open files that the server may have (ulimit -n)" },
  newcomers: { default: "500", meaning: "clients that come when it is full" },
  logins: { default: "40", meaning: "logins at the route then, while there is another server" },
};
const AT_A_TIME = 50;
const PROBES = 100;
const PROBE_MS = 50;
/** Until the route has heard that the server is full. */
const HEARD_MS = 4000;

export const limit: Scenario = {
  name: "limit",
  sentence: "A server process at its limit of open files, to which more clients come.",
  flags: FLAGS,
  cases: (options) => [
    {
      name: `${options.text("files")} open files`,
      settings: Object.fromEntries(Object.keys(FLAGS).map((name) => [name, options.text(name)])),
      trial: () => trial(options),
    },
  ],
  plots: [],
};

async function trial(options: Options): Promise<Trial> {
  const files = options.number("files");
  const newcomers = options.number("newcomers");
  await using system = await System.start({
    store: "sqlite",
    ...options.programs,
    servers: 0,
    settings: CROWD_SETTINGS,
  });
  await startServer(system, options, files);
  const place = (await placesOf(system, 1))[0]!;
  const probes = await enter(system, place, { first: 0, count: PROBES, probeMs: PROBE_MS });
  // More than there is room for: what they leave is a full server.
  const filling = await enter(system, place, { first: PROBES, count: files });
  const { connected } = await filling.ask("stats", "stats");
  await startServer(system, options);
  await Bun.sleep(HEARD_MS);
  await Promise.all([probes, filling].map((crowd) => crowd.ask("clear", "cleared")));
  const late = await enter(system, place, { first: PROBES + files, count: newcomers });
  const turned = await late.ask("stats", "stats");
  const given: Place[] = [];
  for (let i = 0; i < options.number("logins"); i++)
    given.push(await placeOfLogin(system.routeUrl, `newcomer-${i}`));
  const served = together(await Promise.all([probes, filling].map((crowd) => crowd.ask("stats", "stats"))));
  return {
    values: [
      { name: "served", unit: "connections", value: connected + PROBES },
      { name: "newcomers told that it is full", unit: "clients", value: turned.goodbyes },
      { name: "newcomers told nothing", unit: "clients", value: newcomers - turned.goodbyes - turned.in },
      {
        name: "logins given the full server",
        unit: "logins",
        value: given.filter(({ bootId }) => bootId === place.bootId).length,
      },
      { name: "connections lost", unit: "connections", value: served.closed },
      { name: "ping p99 meanwhile", unit: "ms", value: served.ping.p99Ms },
    ],
  };
}

async function startServer({ processes, routeUrl }: System, { binary }: Options, openFiles?: number) {
  const program = binary ? ["dist/cim-server"] : [process.execPath, "server/main.ts"];
  const limited = openFiles ? ["sh", "-c", `ulimit -n ${openFiles} && exec "$@"`, "sh"] : [];
  await processes.start([...limited, ...program], {
    ...CROWD_SETTINGS,
    CIM_AUTH: "open",
    CIM_LOG: "error",
    CIM_DATA: processes.data,
    CIM_ROUTE_URL: routeUrl,
    CIM_SERVER_PORT: 0,
    CIM_SERVER_HTTP_PORT: 0,
  });
}

/** Clients that try to log in; who is turned away stays away. */
async function enter(
  { processes }: System,
  place: Place,
  { first, count, probeMs = 0 }: { first: number; count: number; probeMs?: number },
): Promise<Crowd> {
  const file = await writeClients(processes, count, () => place, first);
  const crowd = await Crowd.start(processes, { file, first: 0, count, more: { probeMs } });
  await crowd.ask(`connect ${AT_A_TIME}`, "connected");
  return crowd;
}
