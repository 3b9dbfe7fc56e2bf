import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { v2BootId } from "../../common/registry/registry.ts";
import type { Online } from "../../route/online.ts";
import { instance, one, Scene, two } from "./scene.ts";

let scene: Scene;
beforeEach(async () => {
  scene = await Scene.make();
});
afterEach(() => scene.store.close());

describe("a claim", () => {
  test("stands in the way of a second login until it lapses after 15 s", async () => {
    const { presence } = scene.open("reject");
    await presence.claim(scene.alice, "phone", one, null);
    const refused = { status: "REPEAT_LOGIN" };
    expect(presence.claim(scene.alice, "laptop", two, null)).rejects.toMatchObject(refused);
    expect(presence.mayLogin(scene.alice.userId, "laptop", null)).rejects.toMatchObject(refused);
    scene.now += 15_000;
    expect(await presence.claim(scene.alice, "laptop", two, null)).toMatchObject({
      device: "laptop",
      bootId: "boot-2",
    });
  });

  test("is no obstacle once its server is gone, however the session ended", async () => {
    const { presence } = scene.open("reject");
    await scene.connected(presence, one);
    scene.gone.add("boot-1");
    expect(await presence.claim(scene.alice, "laptop", two, null)).toMatchObject({ device: "laptop" });
  });

  test("goes to exactly one of many logins at once", async () => {
    const { presence } = scene.open("reject");
    const logins = Array.from({ length: 20 }, (_, i) =>
      presence.claim(scene.alice, `device-${i}`, one, null),
    );
    const outcomes = await Promise.allSettled(logins);
    expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
  });

  test("may be taken back at once by the device that holds the session", async () => {
    const { presence } = scene.open("reject");
    const session = await scene.connected(presence, one);
    const again = await presence.claim(scene.alice, "phone", two, session);
    expect(again.sessionId).not.toBe(session.sessionId);
    expect(scene.doubted).toEqual([session.sessionId]);
  });

  test("whose answer was lost may be repeated by the device that made it, and by no other", async () => {
    const { presence } = scene.open("reject");
    const session = await scene.connected(presence, one);
    await presence.claim(scene.alice, "phone", two, session);
    expect(presence.claim(scene.alice, "phone", one, null)).rejects.toMatchObject({ status: "REPEAT_LOGIN" });
    expect(await presence.claim(scene.alice, "phone", one, session)).toMatchObject({ bootId: "boot-1" });
  });
});

// The old connection used to be told to stop at the claim: a phone whose answer got lost was dead until its user came.
describe("a device that takes its session back", () => {
  test("goes on with the old one when the answer is lost and its old connection is there after all", async () => {
    const { online, presence } = scene.open("reject");
    const old = await scene.connected(presence, one);
    await presence.claim(scene.alice, "phone", two, old);
    expect(await presence.confirm(old)).toMatchObject({ session: { sessionId: old.sessionId } });
    expect((await online.page(0, 10)).users).toEqual([scene.alice]);
    expect(scene.closed).toEqual([]);
  });

  test("ends its old connection when the new one is there, whichever of the two spoke last", async () => {
    const { presence } = scene.open("reject");
    const old = await scene.connected(presence, one);
    const second = await presence.claim(scene.alice, "phone", two, old);
    await presence.confirm(old);
    expect(await presence.confirm(second)).toMatchObject({ session: { sessionId: second.sessionId } });
    expect(scene.closed).toEqual([[old.sessionId, "replaced"]]);
    expect(await presence.confirm(old)).toEqual({ goodbye: "replaced" });
  });

  test("after an attempt whose answer was lost is not mistaken for the one that it made before", async () => {
    const { presence } = scene.open("reject");
    const old = await scene.connected(presence, one);
    const lost = await presence.claim(scene.alice, "phone", two, old);
    const third = await presence.claim(scene.alice, "phone", one, old);
    await presence.confirm(third);
    expect([await presence.confirm(lost), await presence.confirm(old)]).toEqual([
      { goodbye: "replaced" },
      { goodbye: "replaced" },
    ]);
  });

  test("does not take it from a login that came after it", async () => {
    const { presence } = scene.open("kick");
    const old = await scene.connected(presence, one);
    const newer = await presence.claim(scene.alice, "phone", two, null);
    expect(await presence.confirm(old)).toEqual({ goodbye: "kicked" });
    expect(await presence.confirm(newer)).toMatchObject({ session: { sessionId: newer.sessionId } });
  });
});

describe("the login policy", () => {
  test("kick lets the newest login win and tells the older one", async () => {
    const { presence } = scene.open("kick");
    const first = await scene.connected(presence, one);
    await presence.claim(scene.alice, "laptop", two, null);
    expect(scene.closed).toEqual([[first.sessionId, "kicked"]]);
    expect(await presence.confirm(first)).toEqual({ goodbye: "kicked" });
  });

  test("multi keeps one session for each device", async () => {
    const { online, presence } = scene.open("multi");
    const phone = await scene.connected(presence, one, "phone");
    const laptop = await scene.connected(presence, two, "laptop");
    const newPhone = await scene.connected(presence, two, "phone");
    expect(scene.closed).toEqual([[phone.sessionId, "kicked"]]);
    const live = (await online.connected([scene.alice.userId])).get(scene.alice.userId)!;
    expect(live.map((session) => session.sessionId).sort()).toEqual(
      [laptop.sessionId, newPhone.sessionId].sort(),
    );
  });
});

describe("a connection's word", () => {
  test("that comes late from a replaced session changes nothing of the newer one", async () => {
    const { online, presence, leaving } = scene.open("kick");
    const old = await scene.connected(presence, one);
    const current = await scene.connected(presence, two);
    await leaving.release(old);
    expect((await online.connected([scene.alice.userId])).get(scene.alice.userId)).toMatchObject([
      { sessionId: current.sessionId },
    ]);
  });

  test("brings back a session whose end was noted before", async () => {
    const { online, presence, leaving } = scene.open("reject");
    const session = await scene.connected(presence, one);
    await leaving.release(session);
    expect((await online.page(0, 10)).users).toEqual([]);
    expect(await presence.confirm(session)).toMatchObject({ session: { sessionId: session.sessionId } });
    expect((await online.page(0, 10)).users).toEqual([scene.alice]);
  });

  test("is refused after a logout, also when the token is still good", async () => {
    const { presence, leaving } = scene.open("reject");
    const session = await scene.connected(presence, one);
    await leaving.logout(scene.alice.userId, session.sessionId);
    expect(scene.closed).toEqual([[session.sessionId, "logged_out"]]);
    expect(await presence.confirm(session)).toEqual({ goodbye: "logged_out" });
  });
});

describe("a CIM v2 login", () => {
  test("takes the claim of this user and name on this instance, once", async () => {
    const { presence } = scene.open("reject");
    const claim = await presence.claim(scene.alice, "", one, null);
    expect(await presence.adopt(scene.alice.userId, "alice", claim.server, "boot-2")).toBeNull();
    expect(await presence.adopt(scene.alice.userId, "mallory", claim.server, "boot-1")).toBeNull();
    expect(await presence.adopt(scene.alice.userId, "alice", claim.server, "boot-1")).toMatchObject({
      confirmed: true,
    });
    expect(await presence.adopt(scene.alice.userId, "alice", claim.server, "boot-1")).toBeNull();
  });
});

describe("a session on a CIM v2 server", () => {
  const v2 = instance(3, v2BootId("1"));
  const count = async (online: Online) => (await online.page(0, 10)).users.length;

  test("counts as connected from its claim on, for as long as the server is there", async () => {
    const { online, presence } = scene.open("reject");
    await presence.claim(scene.alice, "default", v2, null);
    scene.now += 3_600_000;
    const before = [
      await count(online),
      (await online.connected([scene.alice.userId])).get(scene.alice.userId)?.length,
    ];
    scene.gone.add(v2.bootId);
    expect([before, await count(online)]).toEqual([[1, 1], 0]);
  });

  test("stands in the way of another login for 15 s only: nobody knows whether it still has a connection", async () => {
    const { presence } = scene.open("reject");
    await presence.claim(scene.alice, "default", v2, null);
    expect(presence.mayLogin(scene.alice.userId, "default", null)).rejects.toMatchObject({
      status: "REPEAT_LOGIN",
    });
    scene.now += 15_000;
    expect(await presence.claim(scene.alice, "default", one, null)).toMatchObject({ bootId: "boot-1" });
  });

  test("ends when a CIM v2 peer calls it over, and keeps its place in the conversation of all", async () => {
    const { online, presence, leaving } = scene.open("reject", true);
    await presence.claim(scene.alice, "default", v2, null);
    await scene.store.log.append([
      { conversation: "all", senderId: 9, messageId: "m", at: scene.now, bytes: new Uint8Array() },
    ]);
    await leaving.calledOver(scene.alice.userId);
    expect([
      await count(online),
      (await scene.store.cursors.unread(scene.alice.userId, "", "", 9)).length,
    ]).toEqual([0, 1]);
  });
});
