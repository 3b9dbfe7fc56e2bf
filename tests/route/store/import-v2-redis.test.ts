import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { importV2Accounts } from "../../../route/store/import-v2-redis.ts";
import { openRedis } from "../../../route/store/redis.ts";
import type { Store } from "../../../route/store/store.ts";
import { REPOSITORY, RunningProcess } from "../../support/process.ts";
import { type RedisServer, redisMissing, startRedis } from "../../support/redis.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe.skipIf(redisMissing !== null)(redisMissing ?? "accounts that CIM v2 left in Redis", () => {
  let redis: RedisServer;
  let store: Store;
  beforeAll(async () => {
    redis = await startRedis();
    store = await openRedis(redis.url, silent);
  });
  afterAll(async () => {
    await store?.close();
    await redis?.[Symbol.asyncDispose]();
  });

  test("are known by their names once they were imported, and registering one makes no other", async () => {
    const { account: taken } = await store.accounts.register("taken", null);
    const old = { 1547028929407: "zhangsan", 1547028929408: "taken", 1547028929409: "bad\u202ename" };
    for (const [id, name] of Object.entries(old)) await redis.ask("SET", `cim-account:${id}`, name);
    // What looks like one, and is none.
    await redis.ask("SET", "cim-account:x", "nobody");
    await redis.ask("SET", "zhangsan", "cim-account:1547028929407");
    const first = await importV2Accounts(redis.url, silent);
    expect({ ...first, unnamed: first.unnamed.toSorted((a, b) => a.userId - b.userId) }).toEqual({
      accounts: 4,
      named: 1,
      unnamed: [
        { userId: 1547028929408, userName: "taken" },
        { userId: 1547028929409, userName: "bad\u202ename" },
      ],
    });
    expect([
      (await importV2Accounts(redis.url, silent)).named,
      (await store.accounts.register("zhangsan", null)).account.userId,
      (await store.accounts.byName("taken"))?.userId,
    ]).toEqual([0, 1547028929407, taken.userId]);
  });

  test("are imported by one command, which says what it did", async () => {
    const env = { CIM_STORE: redis.url };
    const run = new RunningProcess(["bun", "run", "import-cim-v2"], { env, cwd: REPOSITORY });
    expect([await run.exited, run.output]).toEqual([
      0,
      expect.stringContaining("4 accounts: 0 named now, 2 found"),
    ]);
  });
});
