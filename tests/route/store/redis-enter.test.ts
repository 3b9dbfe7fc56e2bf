import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { openRedis } from "../../../route/store/redis.ts";
import type { Store } from "../../../route/store/store.ts";
import { type RedisServer, redisMissing, startRedis } from "../../support/redis.ts";
import { ranDuring } from "../../support/redis-monitor.ts";

// Real processes are started, killed and waited for.
setDefaultTimeout(20 * 1000);

const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe.skipIf(redisMissing !== null)(
  redisMissing ? `entering messages in Redis (${redisMissing})` : "entering messages in Redis",
  () => {
    let redis: RedisServer;
    let store: Store;
    let sent = 0;
    beforeAll(async () => {
      redis = await startRedis();
      store = await openRedis(redis.url, silent);
    });
    afterAll(async () => {
      await store.close();
      await redis[Symbol.asyncDispose]();
    });
    beforeEach(() => redis.ask("FLUSHALL"));

    const enter = async (userIds: number[], ...conversations: string[]) => {
      const drafts = conversations.map((conversation) => ({
        conversation,
        senderId: 1,
        messageId: `m${++sent}`,
        at: 1,
        bytes: new Uint8Array(10),
      }));
      const { places, sessions } = await store.enter(drafts, userIds);
      return { seqs: places.map(({ seq }) => seq), userIds: [...(await sessions).keys()] };
    };

    /** What looks for sessions, and what appends, in the order in which Redis did it. */
    const order = async (operation: () => Promise<unknown>) =>
      (await ranDuring(redis, operation))
        .map(({ command }) => command)
        .filter((command) => ["rpush", "hmget", "hvals", "evalsha", "eval"].includes(command))
        .join(" ");

    const connect = (userId: number) => {
      const fields = { userName: "", slot: "", device: "", server: "1.2.3.4:5:6", bootId: "b", since: 1 };
      return store.sessions.put({ ...fields, userId, sessionId: `s${userId}`, confirmed: true }, null);
    };

    test("whose sessions are there is read after the messages stand, and asked for without waiting for that", async () => {
      await connect(2);
      await enter([2, 3], "p2p:1:2", "p2p:1:3");
      expect(await order(() => enter([2, 3], "p2p:1:2", "p2p:1:3"))).toBe(
        "evalsha rpush rpush evalsha hmget",
      );
      await enter([2], "p2p:1:2");
      expect(await order(() => enter([2], "p2p:1:2"))).toBe("evalsha rpush evalsha hvals");
      expect(await enter([2, 3], "p2p:1:3", "p2p:1:2")).toEqual({ seqs: [3, 5], userIds: [2] });
    });

    test("of a conversation that is new they are read once more, when it has begun", async () => {
      await connect(3);
      await enter([2, 3], "p2p:1:2");
      expect(await order(() => enter([2, 3], "p2p:1:2", "p2p:1:3"))).toBe(
        // What announces the conversation is a script, too.
        "evalsha rpush evalsha hmget evalsha evalsha rpush evalsha hmget",
      );
    });

    test("a Redis that has forgotten the scripts, as after a restart, is asked once more when it has them again", async () => {
      await connect(3);
      await enter([2, 3], "p2p:1:2");
      await redis.ask("SCRIPT", "FLUSH");
      const commands = await order(() => enter([2, 3], "p2p:1:2"));
      expect(commands.lastIndexOf("hmget")).toBeGreaterThan(commands.lastIndexOf("rpush"));
      expect(await enter([2, 3], "p2p:1:2")).toEqual({ seqs: [3], userIds: [3] });
    });

    test("messages stand also where the sessions cannot be read", async () => {
      await connect(2);
      await enter([2, 3], "p2p:1:2");
      await redis.ask("DEL", "cim:changes:{u0}");
      await redis.ask("SET", "cim:changes:{u0}", "not what it should be");
      const draft = {
        conversation: "p2p:1:2",
        senderId: 1,
        messageId: "a",
        at: 1,
        bytes: new Uint8Array(1),
      };
      const { places, sessions } = await store.enter([draft], [2, 3]);
      expect([places, await sessions.catch((error) => String(error))]).toEqual([
        [{ seq: 2, at: 1, retry: false }],
        expect.stringContaining("WRONGTYPE"),
      ]);
    });
  },
);
