import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Store } from "../../route/store/store.ts";
import { encoded } from "../support/encoded.ts";

/** @param open an engine with nothing in it */
export function cursorsContract(name: string, open: () => Promise<Store>): void {
  describe(`cursors in ${name}`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    const unread = (userId: number, slot = "") => store.cursors.unread(userId, slot, "", 100);
    const ack = (userId: number, slot: string, conversation: string, seq: number) =>
      store.cursors.ack([{ userId, slot, conversation, seq }]);
    const cursor = (userId: number, slot: string, conversation: string) =>
      store.cursors.cursor(userId, slot, conversation);

    /** Appends `count` messages, accepted at `at`. */
    async function say(conversation: string, count: number, at = Date.now()): Promise<void> {
      await store.log.append(
        Array.from({ length: count }, () => {
          const messageId = crypto.randomUUID();
          return {
            conversation,
            senderId: 1,
            messageId,
            at,
            bytes: encoded({ conversation, messageId }),
          };
        }),
      );
    }

    async function trimLog(at: number): Promise<void> {
      while ((await store.log.trim(at, 100)) > 0);
    }

    describe("private conversations", () => {
      test("what was said is unread for both, from the start, until it is acknowledged", async () => {
        await say("p2p:1:2", 3);
        const all = { conversation: "p2p:1:2", cursor: 0, head: 3 };
        expect([await unread(1), await unread(2), await unread(3), await cursor(1, "", "p2p:1:2")]).toEqual([
          [all],
          [all],
          [],
          0,
        ]);
        await ack(2, "", "p2p:1:2", 2);
        expect([await unread(1), await unread(2), await cursor(2, "", "p2p:1:2")]).toEqual([
          [all],
          [{ ...all, cursor: 2 }],
          2,
        ]);
        await ack(2, "", "p2p:1:2", 3);
        expect([await unread(2), await cursor(2, "", "p2p:1:2"), await cursor(1, "", "p2p:1:2")]).toEqual([
          [],
          3,
          0,
        ]);
        await say("p2p:1:2", 1);
        expect(await unread(2)).toEqual([{ conversation: "p2p:1:2", cursor: 3, head: 4 }]);
      });

      test("a cursor does not move back, nor beyond the head", async () => {
        await say("p2p:1:2", 3);
        await ack(2, "", "p2p:1:2", 2);
        for (const seq of [1, 0, -1, 4, Number.MAX_SAFE_INTEGER]) await ack(2, "", "p2p:1:2", seq);
        await ack(2, "", "p2p:1:3", 1);
        expect([await cursor(2, "", "p2p:1:2"), await cursor(2, "", "p2p:1:3")]).toEqual([2, 0]);
      });

      test("many acknowledgements at once each move their own cursor", async () => {
        await say("p2p:1:2", 3);
        await say("p2p:2:3", 3);
        await store.cursors.ack([
          { userId: 2, slot: "", conversation: "p2p:1:2", seq: 1 },
          { userId: 2, slot: "", conversation: "p2p:1:2", seq: 3 },
          { userId: 3, slot: "", conversation: "p2p:2:3", seq: 9 },
          { userId: 2, slot: "", conversation: "p2p:2:3", seq: 1 },
          { userId: 2, slot: "", conversation: "p2p:1:2", seq: 2 },
        ]);
        await store.cursors.ack([]);
        expect([
          await cursor(2, "", "p2p:1:2"),
          await cursor(2, "", "p2p:2:3"),
          await cursor(3, "", "p2p:2:3"),
          await cursor(1, "", "p2p:1:2"),
        ]).toEqual([3, 1, 0, 0]);
      });

      test("unread conversations come by name, in pages", async () => {
        for (const other of [30, 4, 100, 7, 2])
          await say(`p2p:${Math.min(5, other)}:${Math.max(5, other)}`, 1);
        await say("p2p:6:7", 1);
        await ack(5, "", "p2p:5:7", 1);
        const page = async (from: string, limit: number) =>
          (await store.cursors.unread(5, "", from, limit)).map(({ conversation }) => conversation);
        expect([
          await page("", 2),
          await page("p2p:4:5", 2),
          await page("p2p:5:30", 2),
          await page("", 100),
        ]).toEqual([
          ["p2p:2:5", "p2p:4:5"],
          ["p2p:5:100", "p2p:5:30"],
          [],
          ["p2p:2:5", "p2p:4:5", "p2p:5:100", "p2p:5:30"],
        ]);
      });

      test("a page is full even where most conversations are read", async () => {
        const others = Array.from({ length: 60 }, (_, i) => 100 + i);
        for (const other of others) await say(`p2p:1:${other}`, 1);
        for (const other of others.slice(0, 50)) await ack(1, "", `p2p:1:${other}`, 1);
        const names = (await store.cursors.unread(1, "", "", 7)).map(({ conversation }) => conversation);
        expect(names).toEqual(others.slice(50, 57).map((other) => `p2p:1:${other}`));
      });

      test("ids of any size are told apart", async () => {
        const big = Number.MAX_SAFE_INTEGER;
        await say(`p2p:${big - 1}:${big}`, 1);
        await say(`p2p:1:${big - 1}`, 1);
        expect((await unread(big)).map(({ conversation }) => conversation)).toEqual([
          `p2p:${big - 1}:${big}`,
        ]);
        await ack(big, "", `p2p:${big - 1}:${big}`, 1);
        expect([await unread(big), (await unread(big - 1)).length]).toEqual([[], 2]);
      });
    });

    describe("devices", () => {
      test("each device reads at its own pace, and the slot without a name follows the furthest", async () => {
        await say("p2p:1:2", 5);
        await store.cursors.join(2, "phone");
        await store.cursors.join(2, "desk");
        await ack(2, "phone", "p2p:1:2", 4);
        await ack(2, "desk", "p2p:1:2", 2);
        expect([
          await cursor(2, "phone", "p2p:1:2"),
          await cursor(2, "desk", "p2p:1:2"),
          await cursor(2, "", "p2p:1:2"),
          await unread(2, "desk"),
        ]).toEqual([4, 2, 4, [{ conversation: "p2p:1:2", cursor: 2, head: 5 }]]);
      });

      test("a new device starts where the account's furthest device is, and stays there when that one reads on", async () => {
        await say("p2p:1:2", 5);
        await say("p2p:2:3", 2);
        await store.cursors.join(2, "phone");
        await ack(2, "phone", "p2p:1:2", 3);
        await store.cursors.join(2, "desk");
        await ack(2, "phone", "p2p:1:2", 5);
        expect(await unread(2, "desk")).toEqual([
          { conversation: "p2p:1:2", cursor: 3, head: 5 },
          { conversation: "p2p:2:3", cursor: 0, head: 2 },
        ]);
      });

      test("a device that was here before keeps its place when it comes back", async () => {
        await say("p2p:1:2", 5);
        await store.cursors.join(2, "phone");
        await store.cursors.join(2, "desk");
        await store.cursors.leave(2, "desk");
        await ack(2, "phone", "p2p:1:2", 5);
        await store.cursors.join(2, "desk");
        expect(await unread(2, "desk")).toEqual([{ conversation: "p2p:1:2", cursor: 0, head: 5 }]);
      });

      test("an account that had one session goes on under several where it was", async () => {
        await say("p2p:1:2", 5);
        await store.cursors.join(2, "");
        await ack(2, "", "p2p:1:2", 4);
        await store.cursors.join(2, "phone");
        expect([await cursor(2, "phone", "p2p:1:2"), await cursor(2, "", "p2p:1:2")]).toEqual([4, 4]);
      });

      test("names of devices that look like something else are only names", async () => {
        await say("p2p:1:2", 9);
        const names = ["__proto__", "a:b", "{a}", "'", "*", "0", "🦊", "a", "A"];
        for (const [i, slot] of names.entries()) {
          await store.cursors.join(2, slot);
          await ack(2, slot, "p2p:1:2", i + 1);
        }
        expect(await Promise.all(names.map((slot) => cursor(2, slot, "p2p:1:2")))).toEqual(
          names.map((_, i) => i + 1),
        );
      });
    });

    describe("the conversation of all", () => {
      test("a newcomer starts at its head: the past is not unread", async () => {
        await say("all", 3);
        expect([await unread(1), await cursor(1, "", "all")]).toEqual([[], 0]);
        await store.cursors.join(1, "");
        expect([await unread(1), await cursor(1, "", "all")]).toEqual([[], 3]);
        await say("all", 2);
        expect(await unread(1)).toEqual([{ conversation: "all", cursor: 3, head: 5 }]);
        await ack(1, "", "all", 4);
        expect(await unread(1)).toEqual([{ conversation: "all", cursor: 4, head: 5 }]);
      });

      test("who joined before anything was said gets all of it", async () => {
        await store.cursors.join(1, "");
        await say("all", 2);
        expect(await unread(1)).toEqual([{ conversation: "all", cursor: 0, head: 2 }]);
      });

      test("who drops and comes back gets what was missed", async () => {
        await store.cursors.join(1, "");
        await say("all", 3);
        await ack(1, "", "all", 1);
        await store.cursors.join(1, "");
        expect(await unread(1)).toEqual([{ conversation: "all", cursor: 1, head: 3 }]);
      });

      test("who leaves on purpose is kept nothing, and starts at the head when it comes back", async () => {
        await store.cursors.join(1, "");
        await say("all", 3);
        await store.cursors.leave(1, "");
        await say("all", 1);
        expect([await unread(1), await cursor(1, "", "all")]).toEqual([[], 0]);
        await store.cursors.join(1, "");
        expect([await unread(1), await cursor(1, "", "all")]).toEqual([[], 4]);
        await store.cursors.leave(2, "never here");
      });

      test("a late acknowledgement gives no cursor to one who left or never came", async () => {
        await say("all", 3);
        await store.cursors.join(1, "");
        await store.cursors.leave(1, "");
        await ack(1, "", "all", 2);
        await ack(2, "", "all", 2);
        expect([
          await unread(1),
          await cursor(1, "", "all"),
          await unread(2),
          await cursor(2, "", "all"),
        ]).toEqual([[], 0, [], 0]);
      });

      test("a cursor does not move back, nor beyond the head", async () => {
        await store.cursors.join(1, "");
        await say("all", 3);
        for (const seq of [2, 1, 4, 0, -1]) await ack(1, "", "all", seq);
        expect(await cursor(1, "", "all")).toBe(2);
      });

      test("devices join and leave each for itself", async () => {
        await store.cursors.join(1, "phone");
        await say("all", 2);
        await ack(1, "phone", "all", 1);
        await store.cursors.join(1, "desk");
        await say("all", 1);
        expect([await unread(1, "phone"), await unread(1, "desk"), await unread(1, "")]).toEqual([
          [{ conversation: "all", cursor: 1, head: 3 }],
          [{ conversation: "all", cursor: 2, head: 3 }],
          [],
        ]);
        await store.cursors.leave(1, "phone");
        expect([await unread(1, "phone"), (await unread(1, "desk")).length]).toEqual([[], 1]);
      });

      test("it comes first, by its name, and pages go on after it", async () => {
        await store.cursors.join(1, "");
        await say("all", 1);
        await say("p2p:1:2", 1);
        const page = async (from: string) =>
          (await store.cursors.unread(1, "", from, 1)).map(({ conversation }) => conversation);
        expect([await page(""), await page("all"), await page("p2p:1:2")]).toEqual([
          ["all"],
          ["p2p:1:2"],
          [],
        ]);
      });
    });

    describe("retention", () => {
      test("what is no longer kept is not unread", async () => {
        await store.cursors.join(2, "");
        await say("p2p:1:2", 2, 10);
        await say("all", 2, 10);
        await trimLog(20);
        expect(await unread(2)).toEqual([]);
        await say("p2p:1:2", 1, 30);
        await say("all", 1, 30);
        expect(await unread(2)).toEqual([
          { conversation: "all", cursor: 0, head: 3 },
          { conversation: "p2p:1:2", cursor: 0, head: 3 },
        ]);
      });

      test("a cursor at which nothing is kept is forgotten, and what follows it is unread as before", async () => {
        await say("p2p:1:2", 3, 10);
        await say("p2p:2:3", 3, 10);
        await ack(2, "", "p2p:1:2", 2);
        await ack(2, "", "p2p:2:3", 3);
        await say("p2p:1:2", 1, 30);
        await trimLog(20);
        await store.cursors.trim(Date.now() + 1000);
        expect([await cursor(2, "", "p2p:1:2"), await cursor(2, "", "p2p:2:3"), await unread(2)]).toEqual([
          0,
          0,
          [{ conversation: "p2p:1:2", cursor: 0, head: 4 }],
        ]);
        await ack(2, "", "p2p:1:2", 4);
        expect([await cursor(2, "", "p2p:1:2"), await unread(2)]).toEqual([4, []]);
      });

      test("a cursor at which something is kept stays, however old it is", async () => {
        await say("p2p:1:2", 1, 10);
        await say("p2p:1:2", 2, 30);
        await ack(2, "phone", "p2p:1:2", 2);
        await trimLog(20);
        await store.cursors.trim(Date.now() + 1000);
        expect(await unread(2, "phone")).toEqual([{ conversation: "p2p:1:2", cursor: 2, head: 3 }]);
      });

      test("a place in the conversation of all that nobody came back to is forgotten", async () => {
        await store.cursors.join(1, "");
        await say("all", 2);
        await store.cursors.trim(Date.now() - 60_000);
        expect(await unread(1)).toEqual([{ conversation: "all", cursor: 0, head: 2 }]);
        await store.cursors.trim(Date.now() + 1000);
        expect([await unread(1), await cursor(1, "", "all")]).toEqual([[], 0]);
        await store.cursors.join(1, "");
        expect([await unread(1), await cursor(1, "", "all")]).toEqual([[], 2]);
      });

      test("a place in the conversation of all stays alive by joining, by reading on, and by a session", async () => {
        for (const userId of [1, 2, 3, 4]) await store.cursors.join(userId, "");
        await store.sessions.put(
          {
            userId: 3,
            userName: "c",
            sessionId: "s",
            slot: "",
            device: "",
            server: "h:1:2",
            bootId: "b",
            confirmed: true,
            since: 1,
          },
          null,
        );
        await say("all", 2);
        // The clock must have gone on for what follows to be after the cut.
        const joined = Date.now();
        while (Date.now() <= joined + 1) await Bun.sleep(1);
        const cut = Date.now();
        await store.cursors.join(1, "");
        await ack(2, "", "all", 1);
        await store.cursors.trim(cut);
        expect([await unread(1), await unread(2), await unread(3), await unread(4)]).toEqual([
          [{ conversation: "all", cursor: 0, head: 2 }],
          [{ conversation: "all", cursor: 1, head: 2 }],
          [{ conversation: "all", cursor: 0, head: 2 }],
          [],
        ]);
      });

      test("a device that was away longer than the retention still has its private messages unread", async () => {
        await store.cursors.join(2, "phone");
        await store.cursors.join(2, "desk");
        await say("p2p:1:2", 2);
        await ack(2, "desk", "p2p:1:2", 1);
        await ack(2, "phone", "p2p:1:2", 2);
        await store.cursors.trim(Date.now() + 1000);
        await store.cursors.join(2, "desk");
        expect(await unread(2, "desk")).toEqual([{ conversation: "p2p:1:2", cursor: 1, head: 2 }]);
      });

      test("many cursors are gone through, those to keep and those to forget", async () => {
        const users = Array.from({ length: 1200 }, (_, i) => i + 2);
        await say("p2p:1:2", 1, 10);
        await say("p2p:1:3", 1, 30);
        await store.cursors.ack(
          users.flatMap((userId) => [
            { userId, slot: "", conversation: "p2p:1:2", seq: 1 },
            { userId, slot: "", conversation: "p2p:1:3", seq: 1 },
          ]),
        );
        await trimLog(20);
        await store.cursors.trim(Date.now() + 1000);
        const left = await Promise.all(
          users.map(async (userId) => [
            await cursor(userId, "", "p2p:1:2"),
            await cursor(userId, "", "p2p:1:3"),
          ]),
        );
        expect(left).toEqual(users.map(() => [0, 1]));
      });
    });
  });
}
