import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { one, Scene, two } from "./scene.ts";

let scene: Scene;
beforeEach(async () => {
  scene = await Scene.make();
});
afterEach(() => scene.store.close());

describe("where there are CIM v2 servers, a session on ours that a CIM v2 peer calls over", () => {
  test("goes on while its connection does, and stands in no login's way", async () => {
    const { online, presence, leaving } = scene.open("reject", true);
    const session = await scene.connected(presence, one);
    await leaving.calledOver(scene.alice.userId);
    expect([(await online.page(0, 10)).users, scene.closed]).toEqual([[scene.alice], []]);
    expect(await presence.claim(scene.alice, "laptop", two, null)).toMatchObject({ bootId: "boot-2" });
    expect(scene.closed).toEqual([[session.sessionId, "kicked"]]);
  });

  test("stands in the way again once a connection has confirmed it", async () => {
    const { presence, leaving } = scene.open("reject", true);
    const session = await scene.connected(presence, one);
    await leaving.calledOver(scene.alice.userId);
    await presence.confirm(session);
    expect(presence.mayLogin(scene.alice.userId, "laptop", null)).rejects.toMatchObject({
      status: "REPEAT_LOGIN",
    });
  });

  test("may still be connecting: its claim is taken all the same", async () => {
    const { presence, leaving } = scene.open("reject", true);
    const claim = await presence.claim(scene.alice, "default", one, null);
    await leaving.calledOver(scene.alice.userId);
    expect(await presence.adopt(scene.alice.userId, "alice", claim.server, "boot-1")).toMatchObject({
      confirmed: true,
    });
  });
});

test("where there are none, a CIM v2 peer that calls a session over ends it", async () => {
  const { online, presence, leaving } = scene.open("reject");
  const session = await scene.connected(presence, one);
  await leaving.calledOver(scene.alice.userId);
  expect([(await online.page(0, 10)).users, scene.closed]).toEqual([[], [[session.sessionId, "logged_out"]]]);
});

// The device that changed the password had just taken its session over: it was told that it had been logged out.
test("when everyone else is logged out, what the device went on with meanwhile is spared with its login", async () => {
  const { presence, leaving } = scene.open("kick");
  const session = await scene.connected(presence, one);
  const next = await presence.claim(scene.alice, "phone", two, session);
  await leaving.logoutOthers(scene.alice.userId, session.sessionId);
  expect([await presence.confirm(next), scene.closed]).toEqual([
    { session: { ...next, confirmed: true, since: scene.now } },
    [],
  ]);
});
