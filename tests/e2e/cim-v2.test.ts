/** Peers that speak only CIM v2, in `open` mode: the answers have its fields and no others. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { CimV2Client } from "../support/cim-v2-client.ts";
import { pushV2 } from "../support/cim-v2-route.ts";
import { V2_COMMAND } from "../support/cim-v2-wire.ts";
import { PROCESS_TEST_MS } from "../support/process.ts";
import { System } from "../support/system.ts";

setDefaultTimeout(PROCESS_TEST_MS);

let system: System;

beforeAll(async () => {
  system = await System.start({ env: { CIM_AUTH: "open" } });
});
afterAll(() => system?.end());

const start = (userName: string) => CimV2Client.start(system.routeUrl, userName);
const register = (userName: string) => CimV2Client.register(system.routeUrl, userName);

test("registering answers the id and the name, and the same name again the same id", async () => {
  const first = await call("/registerAccount", {
    userName: "zhangsan",
    reqNo: "r1",
    timeStamp: 1_700_000_000,
  });
  const account = { userId: expect.any(Number), userName: "zhangsan" };
  expect(first).toStrictEqual({ ...success(account), reqNo: "r1" });
  const again = await call("/registerAccount", { userName: "zhangsan" });
  expect(again).toStrictEqual(success((first as { dataBody: unknown }).dataBody));
});

test("a login answers where the server is; a wrong name 9100, a second login 5000", async () => {
  const client = await register("li si");
  const { userId, userName } = client;
  expect(await call("/login", { userId, userName: "wang wu" })).toStrictEqual(failure("9100"));
  expect(await call("/login", { userId: userId + 1000, userName })).toStrictEqual(failure("9100"));
  expect(await call("/login", { userId, userName })).toStrictEqual(
    success({ ip: "127.0.0.1", cimServerPort: system.serverPort, httpPort: system.serverHttpPort }),
  );
  expect(await call("/login", { userId, userName })).toStrictEqual(failure("5000"));
});

test("a private message to someone online arrives as MESSAGE with CIM v2's properties", async () => {
  await using ann = await start("ann");
  await using bob = await start("bob");
  expect(
    await call("/p2pRoute", { userId: ann.userId, receiveUserId: bob.userId, msg: "你好, bob" }),
  ).toStrictEqual(success(null));
  expect(await bob.texts(1)).toEqual(["你好, bob"]);
  expect(bob.frames.at(-1)).toEqual({
    reqMsg: "你好, bob",
    requestId: bob.userId,
    cmd: V2_COMMAND.MESSAGE,
    properties: {
      sendUserId: String(ann.userId),
      sendUserName: "ann",
      receiveUserId: String(bob.userId),
    },
    batchReqMsg: [],
    unknown: [],
  });
});

test("a batch arrives whole and in order", async () => {
  await using ann = await start("ann batch");
  await using bob = await start("bob batch");
  expect((await ann.sendBatch(bob.userId, ["one", "two", "three"])).code).toBe("9000");
  expect(await bob.texts(3)).toEqual(["one", "two", "three"]);
});

test("messages to someone offline are answered 7000, kept, and come when they are fetched", async () => {
  await using ann = await start("ann offline");
  const bob = await register("bob offline");
  expect(await call("/p2pRoute", { userId: ann.userId, receiveUserId: bob.userId, msg: "1" })).toStrictEqual(
    failure("7000"),
  );
  expect((await ann.sendBatch(bob.userId, ["2", "3"])).code).toBe("7000");
  await using back = await start("bob offline");
  expect(await call("/fetchOfflineMsgs", { receiveUserId: bob.userId })).toStrictEqual(success(null));
  expect(await back.texts(3)).toEqual(["1", "2", "3"]);
  expect(back.received[0]).toEqual({
    text: "1",
    sendUserId: String(ann.userId),
    sendUserName: "ann offline",
    offline: true,
  });
  // What was delivered is not kept: the next message is the next thing that arrives.
  await back.fetchOfflineMsgs();
  await ann.sendP2P(bob.userId, "4");
  expect(await back.texts(4)).toEqual(["1", "2", "3", "4"]);
});

test("a group message reaches everyone online but its sender", async () => {
  await using ann = await start("ann group");
  await using bob = await start("bob group");
  await using cat = await start("cat group");
  expect(await call("/groupRoute", { userId: ann.userId, msg: "大家好" })).toStrictEqual(success(null));
  expect([await bob.texts(1), await cat.texts(1)]).toEqual([["大家好"], ["大家好"]]);
  await cat.sendGroup("hello");
  expect(await ann.texts(1)).toEqual(["hello"]);
});

test("the users online are listed while they are", async () => {
  await using ann = await start("ann online");
  const bob = await start("bob online");
  const users = [ann, bob].map(({ userId, userName }) => ({ userId, userName }));
  expect(await call("/onlineUser")).toStrictEqual(success(expect.arrayContaining(users)));
  await bob.close();
  const { dataBody } = await ann.onlineUsers();
  expect(dataBody.filter((user) => user.userId === bob.userId)).toEqual([]);
});

test("logging off answers 9000 for a user nobody knows too", async () => {
  expect(await call("/offLine", { userId: 987_654_321, msg: "offLine" })).toStrictEqual(success(null));
});

test("after logging off the same user logs in again and is reached", async () => {
  await using ann = await start("ann again");
  const bob = await start("bob again");
  await bob.close();
  await using back = await start("bob again");
  await ann.sendP2P(bob.userId, "welcome back");
  expect(await back.texts(1)).toEqual(["welcome back"]);
});

test("a CIM v2 route pushes through the server: one message, a batch, what it kept", async () => {
  await using bob = await start("bob pushed");
  const from = { userId: bob.userId, sendUserId: 7, sendUserName: "路由" };
  const ok = success({ msg: "OK" });
  expect<unknown>(await pushV2(system.serverUrl, { ...from, msg: "live" })).toStrictEqual(ok);
  const kept = { ...from, batchMsg: ["kept 1", "kept 2"], cmd: "OFFLINE" as const };
  expect<unknown>(await pushV2(system.serverUrl, kept)).toStrictEqual(ok);
  await bob.texts(3);
  const sender = { sendUserId: "7", sendUserName: "路由" };
  expect(bob.received).toEqual([
    { text: "live", ...sender, offline: false },
    { text: "kept 1", ...sender, offline: true },
    { text: "kept 2", ...sender, offline: true },
  ]);
});

test("a client that pings is answered with a PING that says pong", async () => {
  await using ann = await start("ann pings");
  await ann.ping();
  expect(ann.frames.at(-1)).toMatchObject({ cmd: V2_COMMAND.PING, reqMsg: "pong" });
});

/** The answer as it is, with whatever fields it has. */
async function call(path: string, body?: unknown): Promise<unknown> {
  const headers = { "content-type": "application/json" };
  const init = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(`${system.routeUrl}${path}`, init);
  expect(response.status).toBe(200);
  return response.json();
}

function success(dataBody: unknown) {
  return { code: "9000", message: "Success", reqNo: null, dataBody };
}

function failure(code: string) {
  return { code, message: expect.any(String), reqNo: null, dataBody: null };
}
