/** A crowd that connects and logs in at once to one server: what comes after every failure. */
import {
  CROWD_SETTINGS,
  type Place,
  placesOf,
  startCrowds,
  startFloor,
  together,
  writeClients,
} from "./crowd.ts";
import type { Options } from "./options.ts";
import { Processes } from "./processes.ts";
import type { Scenario, Trial } from "./scenario.ts";
import { type Store, System } from "./system.ts";

const FLAGS = {
  clients: { default: "19000", meaning: "clients that connect at once" },
  store: { default: "sqlite", meaning: "sqlite or redis" },
};
/** Clients in one process of the load generator. */
const EACH = 4750;
const NS_PER_MS = 1e6;

export const storm: Scenario = {
  name: "storm",
  sentence: "Clients that connect and log in with their tokens to one server process, all at once.",
  flags: FLAGS,
  cases: (options) => [
    {
      name: `${options.text("clients")} at once`,
      settings: { clients: options.number("clients"), store: options.text("store"), clientsInAProcess: EACH },
      trial: () => trial(options),
    },
  ],
  plots: [{ title: "All are in", measurements: ["all in after", "floor: all in after"] }],
};

async function trial(options: Options): Promise<Trial> {
  const ours = await measureOurs(options);
  const floor = await measureFloor(options);
  return {
    values: [
      { name: "all in after", unit: "ms", value: ours.lastMs, floor: "floor: all in after" },
      { name: "floor: all in after", unit: "ms", value: floor.lastMs },
      { name: "login p50", unit: "ms", value: ours.p50Ms },
      { name: "login p99", unit: "ms", value: ours.p99Ms },
      { name: "refused", unit: "clients", value: ours.refused },
      { name: "hanging for 10 s", unit: "clients", value: ours.hung },
      { name: "closed again", unit: "clients", value: ours.closed },
    ],
  };
}

async function measureOurs(options: Options) {
  await using system = await System.start({
    store: options.text("store") as Store,
    ...options.programs,
    settings: CROWD_SETTINGS,
  });
  return await measure(system.processes, (await placesOf(system, 1))[0]!, options);
}

async function measureFloor(options: Options) {
  await using processes = new Processes();
  return await measure(processes, await startFloor(processes), options);
}

async function measure(processes: Processes, place: Place, options: Options) {
  const count = options.number("clients");
  const file = await writeClients(processes, count, () => place);
  const crowds = await startCrowds(processes, { file, first: 0, count, each: EACH });
  const { beganNs, lastInNs, refused, hung, login } = together(
    await Promise.all(crowds.map((crowd) => crowd.ask("connect 0", "connected"))),
  );
  // The route may refuse what the server let in: that is seen a moment later.
  await Bun.sleep(options.seconds * 250);
  const { closed } = together(await Promise.all(crowds.map((crowd) => crowd.ask("stats", "stats"))));
  return { lastMs: (lastInNs - beganNs) / NS_PER_MS, ...login, refused, hung, closed };
}
