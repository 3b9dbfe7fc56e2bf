/** Redis keeps every contract of a store, alone, behind a Sentinel and as a Cluster. */
import { afterAll, beforeAll, describe, setDefaultTimeout } from "bun:test";
import { openRedis } from "../../route/store/redis.ts";
import type { Store } from "../../route/store/store.ts";
import { RedisGroup, redisMissing, startCluster, startRedis, startSentinel } from "../support/redis.ts";
import { accountsContract } from "./accounts.ts";
import { cursorsContract } from "./cursors.ts";
import { locksContract } from "./locks.ts";
import { logContract } from "./log.ts";
import { sessionsContract } from "./sessions.ts";
import { throttleContract } from "./throttle.ts";

// Real processes are started, killed and waited for.
setDefaultTimeout(20 * 1000);

const silent = { debug() {}, info() {}, warn() {}, error() {} };

const engines: [string, () => Promise<RedisGroup>][] = [
  [
    "one Redis",
    async () => {
      const server = await startRedis();
      return new RedisGroup(server.url, [server]);
    },
  ],
  ["Redis behind a Sentinel", startSentinel],
  ["a Redis Cluster", startCluster],
];

for (const [name, start] of engines) {
  describe.skipIf(redisMissing !== null)(redisMissing ? `${name} (${redisMissing})` : name, () => {
    let group: RedisGroup;
    beforeAll(async () => {
      group = await start();
    });
    afterAll(() => group[Symbol.asyncDispose]());

    async function open(): Promise<Store> {
      await group.flush();
      return openRedis(group.url, silent);
    }

    for (const contract of [
      accountsContract,
      sessionsContract,
      logContract,
      cursorsContract,
      throttleContract,
      locksContract,
    ]) {
      contract(name, open);
    }
  });
}
