/** The same jobs done by CIM. */
import { CROWD_SETTINGS, Crowd, placesOf, startCrowds, writeClients } from "./crowd.ts";
import { drive, systemTarget } from "./load.ts";
import type { Options } from "./options.ts";
import {
  AT_A_TIME,
  chatValues,
  PART_CHATTING,
  PART_SETTLING,
  PART_WARMING_UP,
  PAUSE_MS,
  TO_ALL,
  toAll,
} from "./others-jobs.ts";
import { residentBytesOf } from "./processes.ts";
import type { Trial } from "./scenario.ts";
import { type Store, System } from "./system.ts";

export async function trialOfOurs(store: Store, options: Options): Promise<Trial> {
  const connections = options.number("connections");
  const idle = await measureConnections(store, connections, options);
  await using system = await System.start({ store, ...options.programs, settings: CROWD_SETTINGS });
  const { observed, spent, remarks } = await drive(
    {
      clients: options.number("clients"),
      window: options.number("window"),
      textBytes: options.number("text"),
      warmUpSeconds: options.warmUpSeconds * PART_WARMING_UP,
      seconds: options.seconds * PART_CHATTING,
    },
    systemTarget(system),
  );
  const cores = Object.entries(spent)
    .filter(([part]) => part !== "load")
    .reduce((sum, [, one]) => sum + one.user + one.system, 0);
  return {
    values: [
      ...chatValues(observed, cores),
      toAll(idle.said, connections),
      { name: "memory of a connection", unit: "bytes", value: idle.memory },
      { name: "logins", unit: "logins/s", value: idle.logins },
    ],
    remarks,
  };
}

async function measureConnections(store: Store, connections: number, options: Options) {
  await using system = await System.start({ store, ...options.programs, settings: CROWD_SETTINGS });
  const { processes, pids } = system;
  const place = (await placesOf(system, 1))[0]!;
  const before = residentBytesOf(pids.server!);
  const file = await writeClients(processes, connections + 1, () => place);
  const speaker = await Crowd.start(processes, { file, first: connections, count: 1 });
  const crowds = await startCrowds(processes, { file, first: 0, count: connections, each: connections });
  await speaker.ask("connect 1", "connected");
  const [crowd] = crowds as [Crowd];
  const joined = await crowd.ask(`connect ${AT_A_TIME}`, "connected");
  await Bun.sleep(options.seconds * PART_SETTLING * 1000);
  const memory = (residentBytesOf(pids.server!) - before) / connections;
  const said: number[] = [];
  for (let i = 0; i <= TO_ALL; i++) {
    await crowd.ask(`watch ${connections}`, "watching");
    const delivered = crowd.hear("delivered");
    const { saidNs } = await speaker.ask(`say 1 0 ${options.number("text")} 1`, "said");
    said.push(((await delivered).lastNs - saidNs) / 1e6);
    await Bun.sleep(PAUSE_MS);
  }
  return { memory, said, logins: (connections * 1e9) / (joined.lastInNs - joined.beganNs) };
}
