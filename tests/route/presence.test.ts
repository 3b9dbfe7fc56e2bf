import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Config } from "../../common/config.ts";
import { type ServerInstance, v2BootId } from "../../common/registry/registry.ts";
import { type OwnSession, Presence } from "../../route/presence.ts";
import type { Session } from "../../route/store/sessions.ts";
import { openSqlite } from "../../route/store/sqlite.ts";
import type { Store } from "../../route/store/store.ts";

const alice = { userId: 0, userName: "alice" };
const one = instance(1, "boot-1");
const two = instance(2, "boot-2");

let store: Store;
let now: number;
let gone: Set<string>;
let closed: [string, string][];
let doubted: string[];

beforeEach(async () => {
  store = await openSqlite(":memory:");
  alice.userId = (await store.accounts.register("alice", null)).account.userId;
  now = Date.now();
  gone = new Set();
  closed = [];
  doubted = [];
});

afterEach(() => store.close());

describe("a claim", () => {
  test("stands in the way of a second login until it lapses after 15 s", async () => {
    const presence = open("reject");
    await presence.claim(alice, "phone", one, null);
    const refused = { status: "REPEAT_LOGIN" };
    expect(presence.claim(alice, "laptop", two, null)).rejects.toMatchObject(refused);
    expect(presence.mayLogin(alice.userId, "laptop", null)).rejects.toMatchObject(refused);
    now += 15_000;
    expect(await presence.claim(alice, "laptop", two, null)).toMatchObject({
      device: "laptop",
      bootId: "boot-2",
    });
  });

  test("is no obstacle once its server is gone, however the session ended", async () => {
    const presence = open("reject");
    await connected(presence, one);
    gone.add("boot-1");
    expect(await presence.claim(alice, "laptop", two, null)).toMatchObject({ device: "laptop" });
  });

  test("goes to exactly one of many logins at once", async () => {
    const presence = open("reject");
    const logins = Array.from({ length: 20 }, (_, i) => presence.claim(alice, `device-${i}`, one, null));
    const outcomes = await Promise.allSettled(logins);
    expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
  });

  test("may be taken back at once by the device that holds the session", async () => {
    const presence = open("reject");
    const session = await connected(presence, one);
    const again = await presence.claim(alice, "phone", two, session);
    expect(again.sessionId).not.toBe(session.sessionId);
    expect(doubted).toEqual([session.sessionId]);
  });

  test("whose answer was lost may be repeated by the device that made it, and by no other", async () => {
    const presence = open("reject");
    const session = await connected(presence, one);
    await presence.claim(alice, "phone", two, session);
    expect(presence.claim(alice, "phone", one, null)).rejects.toMatchObject({ status: "REPEAT_LOGIN" });
    expect(await presence.claim(alice, "phone", one, session)).toMatchObject({ bootId: "boot-1" });
  });
});

// The old connection used to be told to stop at the claim: a phone whose answer got lost was dead until its user came.
describe("a device that takes its session back", () => {
  test("goes on with the old one when the answer is lost and its old connection is there after all", async () => {
    const presence = open("reject");
    const old = await connected(presence, one);
    await presence.claim(alice, "phone", two, old);
    expect(await presence.confirm(old)).toMatchObject({ session: { sessionId: old.sessionId } });
    expect((await presence.online(0, 10)).users).toEqual([alice]);
    expect(closed).toEqual([]);
  });

  test("ends its old connection when the new one is there, whichever of the two spoke last", async () => {
    const presence = open("reject");
    const old = await connected(presence, one);
    const second = await presence.claim(alice, "phone", two, old);
    await presence.confirm(old);
    expect(await presence.confirm(second)).toMatchObject({ session: { sessionId: second.sessionId } });
    expect(closed).toEqual([[old.sessionId, "replaced"]]);
    expect(await presence.confirm(old)).toEqual({ goodbye: "replaced" });
  });

  test("after an attempt whose answer was lost is not mistaken for the one that it made before", async () => {
    const presence = open("reject");
    const old = await connected(presence, one);
    const lost = await presence.claim(alice, "phone", two, old);
    const third = await presence.claim(alice, "phone", one, old);
    await presence.confirm(third);
    expect([await presence.confirm(lost), await presence.confirm(old)]).toEqual([
      { goodbye: "replaced" },
      { goodbye: "replaced" },
    ]);
  });

  test("does not take it from a login that came after it", async () => {
    const presence = open("kick");
    const old = await connected(presence, one);
    const newer = await presence.claim(alice, "phone", two, null);
    expect(await presence.confirm(old)).toEqual({ goodbye: "kicked" });
    expect(await presence.confirm(newer)).toMatchObject({ session: { sessionId: newer.sessionId } });
  });
});

describe("the login policy", () => {
  test("kick lets the newest login win and tells the older one", async () => {
    const presence = open("kick");
    const first = await connected(presence, one);
    await presence.claim(alice, "laptop", two, null);
    expect(closed).toEqual([[first.sessionId, "kicked"]]);
    expect(await presence.confirm(first)).toEqual({ goodbye: "kicked" });
  });

  test("multi keeps one session for each device", async () => {
    const presence = open("multi");
    const phone = await connected(presence, one, "phone");
    const laptop = await connected(presence, two, "laptop");
    const newPhone = await connected(presence, two, "phone");
    expect(closed).toEqual([[phone.sessionId, "kicked"]]);
    const live = (await presence.connected([alice.userId])).get(alice.userId)!;
    expect(live.map((session) => session.sessionId).sort()).toEqual(
      [laptop.sessionId, newPhone.sessionId].sort(),
    );
  });
});

describe("a connection's word", () => {
  test("that comes late from a replaced session changes nothing of the newer one", async () => {
    const presence = open("kick");
    const old = await connected(presence, one);
    const current = await connected(presence, two);
    await presence.release(old);
    expect((await presence.connected([alice.userId])).get(alice.userId)).toMatchObject([
      { sessionId: current.sessionId },
    ]);
  });

  test("brings back a session whose end was noted before", async () => {
    const presence = open("reject");
    const session = await connected(presence, one);
    await presence.release(session);
    expect((await presence.online(0, 10)).users).toEqual([]);
    expect(await presence.confirm(session)).toMatchObject({ session: { sessionId: session.sessionId } });
    expect((await presence.online(0, 10)).users).toEqual([alice]);
  });

  test("is refused after a logout, also when the token is still good", async () => {
    const presence = open("reject");
    const session = await connected(presence, one);
    await presence.logout(alice.userId, session.sessionId);
    expect(closed).toEqual([[session.sessionId, "logged_out"]]);
    expect(await presence.confirm(session)).toEqual({ goodbye: "logged_out" });
  });
});

describe("a CIM v2 login", () => {
  test("takes the claim of this user and name on this instance, once", async () => {
    const presence = open("reject");
    const claim = await presence.claim(alice, "", one, null);
    expect(await presence.adopt(alice.userId, "alice", claim.server, "boot-2")).toBeNull();
    expect(await presence.adopt(alice.userId, "mallory", claim.server, "boot-1")).toBeNull();
    expect(await presence.adopt(alice.userId, "alice", claim.server, "boot-1")).toMatchObject({
      confirmed: true,
    });
    expect(await presence.adopt(alice.userId, "alice", claim.server, "boot-1")).toBeNull();
  });
});

describe("a session on a CIM v2 server", () => {
  const v2 = instance(3, v2BootId("1"));
  const online = async (presence: Presence) => (await presence.online(0, 10)).users.length;

  test("counts as connected from its claim on, for as long as the server is there", async () => {
    const presence = open("reject");
    await presence.claim(alice, "default", v2, null);
    now += 3_600_000;
    const before = [
      await online(presence),
      (await presence.connected([alice.userId])).get(alice.userId)?.length,
    ];
    gone.add(v2.bootId);
    expect([before, await online(presence)]).toEqual([[1, 1], 0]);
  });

  test("stands in the way of another login for 15 s only: nobody knows whether it still has a connection", async () => {
    const presence = open("reject");
    await presence.claim(alice, "default", v2, null);
    expect(presence.mayLogin(alice.userId, "default", null)).rejects.toMatchObject({
      status: "REPEAT_LOGIN",
    });
    now += 15_000;
    expect(await presence.claim(alice, "default", one, null)).toMatchObject({ bootId: "boot-1" });
  });

  test("ends when a CIM v2 peer calls it over, and keeps its place in the conversation of all", async () => {
    const presence = open("reject", true);
    await presence.claim(alice, "default", v2, null);
    await store.log.append([
      { conversation: "all", senderId: 9, messageId: "m", at: now, bytes: new Uint8Array() },
    ]);
    await presence.calledOver(alice.userId);
    expect([await online(presence), (await store.cursors.unread(alice.userId, "", "", 9)).length]).toEqual([
      0, 1,
    ]);
  });
});

describe("where there are CIM v2 servers, a session on ours that a CIM v2 peer calls over", () => {
  test("goes on while its connection does, and stands in no login's way", async () => {
    const presence = open("reject", true);
    const session = await connected(presence, one);
    await presence.calledOver(alice.userId);
    expect([(await presence.online(0, 10)).users, closed]).toEqual([[alice], []]);
    expect(await presence.claim(alice, "laptop", two, null)).toMatchObject({ bootId: "boot-2" });
    expect(closed).toEqual([[session.sessionId, "kicked"]]);
  });

  test("stands in the way again once a connection has confirmed it", async () => {
    const presence = open("reject", true);
    const session = await connected(presence, one);
    await presence.calledOver(alice.userId);
    await presence.confirm(session);
    expect(presence.mayLogin(alice.userId, "laptop", null)).rejects.toMatchObject({ status: "REPEAT_LOGIN" });
  });

  test("may still be connecting: its claim is taken all the same", async () => {
    const presence = open("reject", true);
    const claim = await presence.claim(alice, "default", one, null);
    await presence.calledOver(alice.userId);
    expect(await presence.adopt(alice.userId, "alice", claim.server, "boot-1")).toMatchObject({
      confirmed: true,
    });
  });
});

test("where there are none, a CIM v2 peer that calls a session over ends it", async () => {
  const presence = open("reject");
  const session = await connected(presence, one);
  await presence.calledOver(alice.userId);
  expect([(await presence.online(0, 10)).users, closed]).toEqual([[], [[session.sessionId, "logged_out"]]]);
});

test("who is online is listed in pages, without claims and without those on servers that are gone", async () => {
  const presence = open("reject");
  const users = [];
  for (let i = 0; i < 25; i++) {
    const { account } = await store.accounts.register(`user-${i}`, null);
    await presence.confirm(await presence.claim(account, "phone", i % 5 === 0 ? two : one, null));
    if (i % 5 !== 0) users.push({ userId: account.userId, userName: account.userName });
  }
  await presence.claim(alice, "phone", one, null);
  gone.add("boot-2");
  const first = await presence.online(0, 15);
  const second = await presence.online(first.next!, 15);
  expect({ listed: [...first.users, ...second.users], next: second.next }).toEqual({
    listed: users,
    next: null,
  });
});

function open(policy: Config["loginPolicy"], knowsV2 = false): Presence {
  return new Presence({
    sessions: store.sessions,
    cursors: store.cursors,
    directory: { state: (_, bootId) => (gone.has(bootId) ? "gone" : "alive") },
    knowsV2: () => knowsV2,
    policy,
    tokenMs: 60_000,
    close: (session, reason) => closed.push([session.sessionId, reason]),
    doubt: (session) => doubted.push(session.sessionId),
    now: () => now,
  });
}

async function connected(
  presence: Presence,
  server: ServerInstance,
  device = "phone",
): Promise<Session & OwnSession> {
  const claim = await presence.claim(alice, device, server, null);
  await presence.confirm(claim);
  return { ...claim, confirmed: true };
}

function instance(n: number, bootId: string): ServerInstance {
  const ports = { port: 1000 + n, httpPort: 2000 + n };
  return { host: "127.0.0.1", ...ports, bootId, tls: false, version: "1", connections: 0, full: false };
}
