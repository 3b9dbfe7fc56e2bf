/** The short form of `bun run chaos`: every fault that needs no waiting, once; see docs/chaos.md. */
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

for (const [engines, missing, routes, faults] of [
  ["embedded", null, 1, 4],
  ["distributed", redisMissing ?? zookeeperMissing, 3, 5],
] as const) {
  test.skipIf(missing !== null)(
    `whatever breaks on the ${engines} engines, what was accepted arrives once and in order`,
    () => run(engines, routes, faults),
    TIMEOUT_MS,
  );
}

async function run(engines: Engines, routes: number, faults: number): Promise<void> {
  directory = await mkdtemp(join(tmpdir(), "cim-chaos-"));
  const said: string[] = [];
  const report = await runChaos({
    seed: 2,
    engines,
    minutes: 0,
    faults,
    atOnce: 2,
    env: {},
    routes,
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
