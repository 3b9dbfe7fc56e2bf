import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { firstSessionId, nextSessionId } from "../../route/session-id.ts";
import type { Session } from "../../route/store/sessions.ts";
import type { Store } from "../../route/store/store.ts";

/** @param open an engine with nothing in it */
export function sessionsContract(name: string, open: () => Promise<Store>): void {
  describe(`sessions in ${name}`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    const all = async (...userIds: number[]) => Object.fromEntries(await store.sessions.ofUsers(userIds));

    test("a session put into an empty slot is there, with all that is known of it", async () => {
      const one = session({ device: "phone 📱", userName: "张三", slot: "phone 📱", confirmed: true });
      expect([await store.sessions.put(one, null), await all(1)]).toEqual(["done", { 1: [one] }]);
    });

    test("a slot that is taken is not given to one who saw it empty", async () => {
      const first = session({ sessionId: "first" });
      await store.sessions.put(first, null);
      expect([await store.sessions.put(session({ sessionId: "second" }), null), await all(1)]).toEqual([
        first,
        { 1: [first] },
      ]);
    });

    test("a slot is given to one who saw the session that is in it", async () => {
      await store.sessions.put(session({ sessionId: "first", server: "a:1:2" }), null);
      const second = session({ sessionId: "second", server: "b:1:2", since: 2 });
      expect([await store.sessions.put(second, "first"), await all(1)]).toEqual(["done", { 1: [second] }]);
    });

    test("a slot is not given to one who saw a session that is no longer in it", async () => {
      const second = session({ sessionId: "second" });
      await store.sessions.put(session({ sessionId: "first" }), null);
      await store.sessions.put(second, "first");
      expect([await store.sessions.put(session({ sessionId: "third" }), "first"), await all(1)]).toEqual([
        second,
        { 1: [second] },
      ]);
    });

    test("one who saw a session in a slot that is empty after all is told so, and puts nothing", async () => {
      expect([await store.sessions.put(session({ sessionId: "second" }), "first"), await all(1)]).toEqual([
        null,
        {},
      ]);
    });

    test("a session that saw itself is put again: it is confirmed", async () => {
      await store.sessions.put(session({ confirmed: false }), null);
      const confirmed = session({ confirmed: true, since: 5 });
      expect([await store.sessions.put(confirmed, confirmed.sessionId), await all(1)]).toEqual([
        "done",
        { 1: [confirmed] },
      ]);
    });

    test("of many that claim an empty slot at once, one gets it and the others are told which", async () => {
      const rivals = Array.from({ length: 20 }, (_, i) => session({ sessionId: `s${i}` }));
      const answers = await Promise.all(rivals.map((rival) => store.sessions.put(rival, null)));
      const winner = rivals[answers.indexOf("done")]!;
      expect([answers, await all(1)]).toEqual([
        rivals.map((rival) => (rival === winner ? "done" : winner)),
        { 1: [winner] },
      ]);
    });

    test("the slots of an account are apart, and those of another account too", async () => {
      const sessions = [
        session({ slot: "", sessionId: "a" }),
        session({ slot: "phone", sessionId: "b" }),
        session({ slot: "Phone", sessionId: "c" }),
        session({ userId: 2, slot: "phone", sessionId: "d" }),
      ];
      for (const one of sessions) await store.sessions.put(one, null);
      await store.sessions.remove(1, "phone", "b");
      const left = await all(1, 2);
      expect(left[1]!.toSorted((x, y) => x.sessionId.localeCompare(y.sessionId))).toEqual([
        sessions[0]!,
        sessions[2]!,
      ]);
      expect(left[2]).toEqual([sessions[3]!]);
    });

    test("names of devices that look like something else are only names", async () => {
      const names = ["__proto__", "a:b", "{a}", "'", "*", "\u{1f98a}", "0"];
      for (const slot of names) await store.sessions.put(session({ slot, device: slot }), null);
      const rows = (await all(1))[1]!;
      expect(Object.fromEntries(rows.map(({ slot, device }) => [slot, device]))).toEqual(
        Object.fromEntries(names.map((slot) => [slot, slot])),
      );
    });

    test("a slot is emptied by the session that holds it, once", async () => {
      await store.sessions.put(session(), null);
      expect([
        await store.sessions.remove(1, "", "session"),
        await store.sessions.remove(1, "", "session"),
        await all(1),
      ]).toEqual([true, false, {}]);
    });

    test("a late word of a session that was replaced changes nothing of the one that replaced it", async () => {
      const second = session({ sessionId: "second" });
      await store.sessions.put(session({ sessionId: "first" }), null);
      await store.sessions.put(second, "first");
      expect([
        await store.sessions.remove(1, "", "first"),
        await store.sessions.remove(1, "phone", "second"),
        await store.sessions.remove(2, "", "second"),
        await all(1),
      ]).toEqual([false, false, false, { 1: [second] }]);
    });

    test("the sessions of many users are answered at once, none for a user without", async () => {
      const users = Array.from({ length: 300 }, (_, i) => i + 1);
      const claimed = users.filter((userId) => userId % 3 !== 0);
      await Promise.all(claimed.map((userId) => store.sessions.put(session({ userId }), null)));
      expect(await all(...users)).toEqual(
        Object.fromEntries(claimed.map((userId) => [userId, [session({ userId })]])),
      );
      expect(await all()).toEqual({});
    });

    test("a listing goes by user, in pages that cut no user in two", async () => {
      const big = Number.MAX_SAFE_INTEGER;
      const held: [number, string][] = [
        [5, ""],
        [2, "a"],
        [2, "b"],
        [11, ""],
        [3, "c"],
        [big, ""],
      ];
      for (const [userId, slot] of held) await store.sessions.put(session({ userId, slot }), null);
      const page = async (after: number, limit: number) =>
        (await store.sessions.list(after, limit)).map(({ userId, slot }) => `${userId}${slot}`).sort();
      expect([
        await page(0, 2),
        await page(3, 2),
        await page(11, 2),
        await page(big, 2),
        await page(0, 100),
        (await store.sessions.list(0, 3)).map(({ userId }) => userId),
      ]).toEqual([
        ["2a", "2b", "3c"],
        ["11", "5"],
        [`${big}`],
        [],
        ["11", "2a", "2b", "3c", "5", `${big}`],
        [2, 2, 3, 5],
      ]);
    });

    test("page by page everyone is listed, however ids lie", async () => {
      // Many of a kind that a driver might keep together, and some that lie between and beyond.
      const users = [...Array.from({ length: 40 }, (_, i) => (i + 1) * 256), 3, 300, 2000, 5001, 50_000];
      await Promise.all(users.map((userId) => store.sessions.put(session({ userId }), null)));
      const listed: number[] = [];
      for (let page = await store.sessions.list(0, 20); page.length > 0; ) {
        listed.push(...page.map(({ userId }) => userId));
        page = await store.sessions.list(listed.at(-1)!, 20);
      }
      expect(listed).toEqual(users.toSorted((a, b) => a - b));
    });

    test("a user whose last session is gone is no longer listed", async () => {
      await store.sessions.put(session({ slot: "a", sessionId: "a" }), null);
      await store.sessions.put(session({ slot: "b", sessionId: "b" }), null);
      await store.sessions.remove(1, "a", "a");
      expect(await store.sessions.list(0, 10)).toEqual([session({ slot: "b", sessionId: "b" })]);
      await store.sessions.remove(1, "b", "b");
      expect(await store.sessions.list(0, 10)).toEqual([]);
    });

    test("a token that was logged out stays so until it expires, and no other is", async () => {
      await store.sessions.revoke("out", Date.now() + 60_000);
      await store.sessions.revoke("out", Date.now() + 60_000);
      await store.sessions.revoke("expired", Date.now() - 1);
      expect([
        await store.sessions.isRevoked({ userId: 1, sessionId: "out" }),
        await store.sessions.isRevoked({ userId: 1, sessionId: "expired" }),
        await store.sessions.isRevoked({ userId: 1, sessionId: "other" }),
      ]).toEqual([true, false, false]);
    });

    test("of many tokens asked about at once each gets its own answer, also the same one twice", async () => {
      const sessionIds = ["in-1", "out-1", "in-2", "out-2", "out-1"];
      for (const sessionId of ["out-1", "out-2"]) await store.sessions.revoke(sessionId, Date.now() + 60_000);
      const answers = await Promise.all(
        sessionIds.map((sessionId) => store.sessions.isRevoked({ userId: 1, sessionId })),
      );
      expect(answers).toEqual([false, true, false, true, true]);
    });

    test("a sign-out refuses every login of the user by then, but the spared one and what follows from it", async () => {
      const [own, other] = [firstSessionId(), firstSessionId()];
      await store.sessions.signOut(1, own, Date.now() + 60_000);
      const after = firstSessionId(await store.sessions.generation(1));
      const asked = [own, nextSessionId([own]), other, nextSessionId([other]), after, nextSessionId([after])];
      const revoked = await Promise.all(
        asked.map((sessionId) => store.sessions.isRevoked({ userId: 1, sessionId })),
      );
      expect(revoked).toEqual([false, false, true, true, false, false]);
      expect(await store.sessions.isRevoked({ userId: 2, sessionId: other })).toBe(false);
    });

    test("a second sign-out refuses what the first spared, and what began between the two", async () => {
      const own = firstSessionId();
      await store.sessions.signOut(1, own, Date.now() + 60_000);
      const between = firstSessionId(await store.sessions.generation(1));
      await store.sessions.signOut(1, null, Date.now() + 60_000);
      const after = firstSessionId(await store.sessions.generation(1));
      const revoked = await Promise.all(
        [own, between, after].map((sessionId) => store.sessions.isRevoked({ userId: 1, sessionId })),
      );
      expect(revoked).toEqual([true, true, false]);
    });

    test("a sign-out is forgotten when the last token from before it has expired", async () => {
      await store.sessions.signOut(1, null, Date.now() - 1);
      expect([
        await store.sessions.generation(1),
        await store.sessions.isRevoked({ userId: 1, sessionId: firstSessionId() }),
      ]).toEqual([0, false]);
    });
  });
}

function session(fields: Partial<Session> = {}): Session {
  return {
    userId: 1,
    userName: "zhangsan",
    sessionId: "session",
    slot: "",
    device: "",
    server: "10.0.0.1:11211:8081",
    bootId: "boot",
    confirmed: false,
    since: 1_700_000_000_000,
    ...fields,
  };
}
