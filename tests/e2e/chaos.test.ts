/** The short form of `bun run chaos`; see docs/chaos.md. */
import { afterEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runChaos } from "../chaos/run.ts";
import type { Engines } from "../chaos/world.ts";
import { redisMissing } from "../support/redis.ts";
import { zookeeperMissing } from "../support/zookeeper.ts";

const TIMEOUT_MS = 180_000;
const CLIENTS = 40;

let directory: string;

afterEach(() => rm(directory, { recursive: true, force: true }));

test(
  "whatever breaks on the embedded engines, what was accepted arrives once and in order",
  () =>
    run("embedded", ["a server is killed", "a route is killed", "clients are killed and started again"], 3),
  TIMEOUT_MS,
);

const missing = redisMissing ?? zookeeperMissing;
test.skipIf(missing !== null)(
  `whatever breaks in a cluster, what was accepted arrives once and in order${missing ? ` (${missing})` : ""}`,
  () =>
    run("distributed", [
      "Redis is killed and restarted",
      "ZooKeeper is restarted",
      "a network is cut off and joined again",
      "a server is drained and replaced",
      // Alone, so that it is seen that its users are offline in time and can log in again.
      "a server is killed",
    ]),
  TIMEOUT_MS,
);

async function run(engines: Engines, only: string[], atOnce = 2): Promise<void> {
  directory = await mkdtemp(join(tmpdir(), "cim-chaos-"));
  const said: string[] = [];
  const report = await runChaos({
    seed: 2,
    engines,
    minutes: 0,
    faults: only.length,
    only,
    atOnce,
    env: {},
    routes: engines === "embedded" ? 1 : 3,
    servers: 3,
    clients: CLIENTS,
    devices: 1,
    processes: 2,
    toOne: 60,
    toAll: 10,
    directory,
    say: (line) => said.push(line),
  });
  expect({ violations: report.violations, said: report.violations.length ? said : [] }).toEqual({
    violations: [],
    said: [],
  });
  expect(report.counts.accepted).toBeGreaterThan(CLIENTS);
}
