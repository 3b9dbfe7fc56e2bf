/** Messages that CIM v2 loses, doubles or mixes up: its faults 1, 6–9, 11, 12, 21 (tests/README.md), as its own clients see them. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { CimV2Client } from "../support/cim-v2-client.ts";
import { callV2 } from "../support/cim-v2-http.ts";
import { pushV2 } from "../support/cim-v2-route.ts";
import { PROCESS_TEST_MS } from "../support/process.ts";
import { System } from "../support/system.ts";

setDefaultTimeout(PROCESS_TEST_MS);

let system: System;
let ann: CimV2Client;

beforeAll(async () => {
  system = await System.start({ env: { CIM_AUTH: "open", CIM_MAX_MESSAGES_PER_SECOND: "1000" } });
  ann = await start("ann");
});
afterAll(() => system?.end());

const start = (userName: string) => CimV2Client.start(system.routeUrl, userName);
const register = (userName: string) => CimV2Client.register(system.routeUrl, userName);

test("fault 1: what is sent to a client whose socket has just died is kept for it", async () => {
  const bob = await start("bob dies");
  const sent: string[] = [];
  for (let round = 0; round < 20; round++) {
    await bob.vanish();
    sent.push(`in round ${round}`);
    expect((await ann.sendP2P(bob.userId, sent.at(-1)!)).code).toBeOneOf(["9000", "7000"]);
    await bob.loginAgain();
    await bob.fetchOfflineMsgs();
    expect(await bob.texts(sent.length)).toEqual(sent);
  }
  await bob.close();
});

test("fault 1: a push to a user who is not on the server is not answered with success", async () => {
  const bob = await register("bob absent");
  const answer = await pushV2(system.serverUrl, {
    userId: bob.userId,
    msg: "x",
    sendUserId: 1,
    sendUserName: "a",
  });
  expect(answer).toEqual({ code: "7000", message: expect.any(String), reqNo: null, dataBody: null });
});

test("fault 6: what was missed is fetched after every reconnect, not only the first", async () => {
  const bob = await start("bob reconnects");
  for (const round of [1, 2, 3]) {
    await bob.close();
    await ann.sendP2P(bob.userId, `missed ${round}`);
    await bob.loginAgain();
    await bob.fetchOfflineMsgs();
    expect((await bob.texts(round)).at(-1)).toBe(`missed ${round}`);
  }
  await bob.close();
});

test("fault 7: each message that was kept names its own sender", async () => {
  await using cat = await start("cat sends");
  const bob = await start("bob of two senders");
  await bob.vanish();
  for (const sender of [ann, cat, ann, cat]) {
    await sender.sendGroup(`to all from ${sender.userName}`);
    await sender.sendP2P(bob.userId, `to bob from ${sender.userName}`);
  }
  await bob.loginAgain();
  await bob.fetchOfflineMsgs();
  await bob.texts(8);
  expect(bob.received.map(({ text, sendUserName }) => [text.split(" from ")[1], sendUserName])).toEqual(
    bob.received.map(({ sendUserName }) => [sendUserName, sendUserName]),
  );
  await bob.close();
});

test("fault 8: two fetches at once deliver everything once", async () => {
  const bob = await register("bob fetches twice");
  const texts = Array.from({ length: 50 }, (_, i) => `message ${i}`);
  await ann.sendBatch(bob.userId, texts);
  await bob.login();
  await Promise.all([bob.fetchOfflineMsgs(), bob.fetchOfflineMsgs(), bob.fetchOfflineMsgs()]);
  // Anything that came twice would stand before this one.
  await ann.sendP2P(bob.userId, "last");
  expect(await bob.texts(51)).toEqual([...texts, "last"]);
  await bob.close();
});

test("fault 8: a fetch by someone who is not connected marks nothing as delivered", async () => {
  const bob = await register("bob fetches unconnected");
  await ann.sendP2P(bob.userId, "kept");
  await bob.fetchOfflineMsgs();
  await bob.login();
  await bob.vanish();
  await bob.fetchOfflineMsgs();
  await bob.loginAgain();
  await bob.fetchOfflineMsgs();
  expect(await bob.texts(1)).toEqual(["kept"]);
  await bob.close();
});

test("fault 9: a batch for someone offline is readable and holds nothing up behind it", async () => {
  const bob = await register("bob of a batch");
  expect((await ann.sendBatch(bob.userId, ["a", "b"])).code).toBe("7000");
  expect((await ann.sendP2P(bob.userId, "c")).code).toBe("7000");
  await bob.login();
  await bob.fetchOfflineMsgs();
  expect(await bob.texts(3)).toEqual(["a", "b", "c"]);
  await bob.close();
});

test("fault 11: names registered at the same moment get ids of their own, and nobody gets another's messages", async () => {
  const names = Array.from({ length: 30 }, (_, i) => `twin ${i}`);
  const twins = await Promise.all(names.map(start));
  expect(new Set(twins.map((twin) => twin.userId)).size).toBe(30);
  const next = (i: number) => twins[(i + 1) % 30]!;
  await Promise.all(twins.map((twin, i) => twin.sendP2P(next(i).userId, `for ${next(i).userName}`)));
  const got = await Promise.all(twins.map((twin) => twin.texts(1)));
  expect(got).toEqual(names.map((name) => [`for ${name}`]));
  await Promise.all(twins.map((twin) => twin.close()));
});

test("fault 12: everyone sees the group chat in one order, and who drops out gets what was said meanwhile", async () => {
  const senders = await Promise.all(["s1", "s2", "s3"].map(start));
  const listeners = await Promise.all(["l1", "l2", "l3"].map(start));
  const dropping = listeners[2]!;
  const say = (part: string) =>
    Promise.all(senders.flatMap((sender) => [1, 2, 3, 4, 5].map((i) => sender.sendGroup(`${part} ${i}`))));
  await say("first");
  await dropping.texts(15);
  await dropping.vanish();
  await say("second");
  await dropping.loginAgain();
  await dropping.fetchOfflineMsgs();
  const [one, ...others] = await Promise.all(listeners.map((listener) => listener.texts(30)));
  expect(one!.length).toBe(30);
  expect(others).toEqual([one!, one!]);
  await Promise.all([...senders, ...listeners].map((client) => client.close()));
});

test("fault 21: no name can become a key of the store", async () => {
  const names = [
    "cim-route:1",
    "login-status",
    "cim-account:1",
    "all",
    "p2p:1:2",
    "../cim.db",
    "'; drop table accounts",
  ];
  const clients = await Promise.all(names.map(start));
  await ann.sendGroup("to all of you");
  const got = await Promise.all(clients.map((client) => client.texts(1)));
  expect(got).toEqual(names.map(() => ["to all of you"]));
  const online = await callV2<{ userName: string }[]>(system.routeUrl, "/onlineUser");
  expect(online.dataBody.map((user) => user.userName)).toEqual(expect.arrayContaining(names));
  await Promise.all(clients.map((client) => client.close()));
});

test("fault 21: naming a userId takes over nobody's connection", async () => {
  await using bob = await start("bob at home");
  const thief = await register("bob at home");
  await thief.connect("127.0.0.1", system.serverPort);
  await thief.ended();
  await ann.sendP2P(bob.userId, "for bob alone");
  expect(await bob.texts(1)).toEqual(["for bob alone"]);
  expect(thief.frames).toEqual([]);
});
