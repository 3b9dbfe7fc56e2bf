import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { GoodbyeReason } from "../../proto/status.ts";
import type { Leaving } from "../../route/leaving.ts";
import type { Session, Sessions } from "../../route/store/sessions.ts";
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

// A route that stood still wrote the row when others had dealt with what came after. Whoever came back was told to be
// logged in already, for as long as the server lived.
describe("while it is being confirmed, a session", () => {
  const over = async (
    goodbye: GoodbyeReason,
    end: (leaving: Leaving, claim: Session) => Promise<void>,
    before = false,
  ) => {
    const { presence, leaving } = scene.open("reject");
    const { sessions } = scene.store;
    const claim = await presence.claim(scene.alice, "phone", one, null);
    if (before) await leaving.release(claim);
    meanwhile(sessions, () => end(leaving, claim));
    expect([
      await presence.confirm(claim),
      await sessions.list(0, 10),
      await presence.mayLogin(scene.alice.userId, "laptop", null),
    ]).toEqual([{ goodbye }, [], undefined]);
  };
  const logOut = (leaving: Leaving, { userId, sessionId }: Session) => leaving.logout(userId, sessionId);

  test("that is released is over", () => over("session_over", (leaving, claim) => leaving.release(claim)));
  test("that is logged out is over", () => over("session_over", logOut));
  test("that had been released before, and is logged out, is over", () => over("logged_out", logOut, true));
});

/** Does `work` between what a confirm reads and what it writes. */
function meanwhile(sessions: Sessions, work: () => Promise<void>): void {
  const { isRevoked } = sessions;
  sessions.isRevoked = async (session) => {
    sessions.isRevoked = isRevoked;
    const answer = await isRevoked(session);
    await work();
    return answer;
  };
}
