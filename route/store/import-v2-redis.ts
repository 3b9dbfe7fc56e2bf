/** Makes the accounts that CIM v2 left in a Redis known by their names: it keeps them by id alone. */
import { Cluster, type Redis } from "ioredis";
import type { Logger } from "../../common/logger.ts";
import { checkName, normalName } from "../names.ts";
import { RedisClient } from "./redis-client.ts";
import { accountKey, namesKey } from "./redis-keys.ts";
import { parseRedisUrl } from "./redis-url.ts";

export interface Imported {
  /** All there are, those made here among them. */
  accounts: number;
  /** Named from now on. */
  named: number;
  /** Their name is another account's already, or one that nobody may have here: they are found by their id alone. */
  unnamed: { userId: number; userName: string }[];
}

const PATIENCE_MS = 10 * 1000;
const SCAN_COUNT = 1000;
const ACCOUNT = /^cim-account:([1-9]\d{0,15})$/;

/** May be repeated, and run while routes serve. @throws CimError when Redis does not answer */
export async function importV2Accounts(url: string, log: Logger): Promise<Imported> {
  const client = new RedisClient(parseRedisUrl(url), log);
  const imported: Imported = { accounts: 0, named: 0, unnamed: [] };
  try {
    await client.connect(PATIENCE_MS);
    for (const node of await client.run(async (redis) => nodesOf(redis))) {
      for (let cursor = "0"; ; ) {
        const [next, keys] = await node.scan(cursor, "MATCH", "cim-account:*", "COUNT", SCAN_COUNT);
        const userIds = keys.flatMap((key) => Number(ACCOUNT.exec(key)?.[1]) || []);
        await Promise.all(userIds.map((userId) => name(client, userId, imported)));
        if (next === "0") break;
        cursor = next;
      }
    }
    return imported;
  } finally {
    await client.close();
  }
}

async function name(client: RedisClient, userId: number, imported: Imported): Promise<void> {
  const userName = await client.run((redis) => redis.get(accountKey(userId)));
  if (userName === null) return;
  imported.accounts++;
  const wanted = normalName(userName);
  if (!mayBe(wanted)) {
    imported.unnamed.push({ userId, userName });
    return;
  }
  const key = namesKey(wanted);
  const isNew = await client.run((redis) => redis.hsetnx(key, wanted, userId));
  if (isNew) imported.named++;
  else if (Number(await client.run((redis) => redis.hget(key, wanted))) !== userId)
    imported.unnamed.push({ userId, userName });
}

function mayBe(userName: string): boolean {
  try {
    checkName(userName);
    return true;
  } catch {
    return false;
  }
}

function nodesOf(redis: Redis): Redis[] {
  const form: unknown = redis;
  return form instanceof Cluster ? form.nodes("master") : [redis];
}
