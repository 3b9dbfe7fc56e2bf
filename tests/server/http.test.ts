import { afterEach, beforeEach, expect, test } from "bun:test";
import { Link } from "../../common/link.ts";
import { Tokens } from "../../common/token.ts";
import { Command } from "../../proto/gen/cim_pb.ts";
import { type OpenServer, openTestServer } from "./open-server.ts";

const ADMIN_KEY = "an-admin-key-for-tests";
const PROPERTIES = { sendUserId: "1", sendUserName: "ann", receiveUserId: "2" };

let cim: OpenServer;

beforeEach(async () => {
  cim = await openTestServer({ CIM_AUTH: "open" });
});
afterEach(() => cim[Symbol.asyncDispose]());

test("a CIM v2 push reaches a CIM v2 client in the same fields", async () => {
  const bob = await cim.v2(2);
  const properties = { ...PROPERTIES, receiveUserId: "2" };
  expect(await sendMsg({ userId: 2, msg: "hi", batchMsg: null, cmd: "MESSAGE", properties })).toEqual({
    code: "9000",
    message: "Success",
    reqNo: null,
    dataBody: { msg: "OK" },
  });
  const { cmd, requestId, text, properties: received, body } = await bob.next();
  expect([cmd, requestId, text, received, body.case]).toEqual([
    Command.MESSAGE,
    2n,
    "hi",
    PROPERTIES,
    undefined,
  ]);
});

// It was answered Success, and the client, which reads from the log, dropped it.
test("a CIM v2 push to a client of ours is refused, and says how to push to it", async () => {
  await cim.client({ userId: 3, sessionId: "s3" });
  expect(await sendMsg({ userId: 3, msg: "hi" })).toEqual({
    code: "3000",
    message: "user 3 has no CIM v2 client here: push through the route (/p2pRoute)",
    reqNo: null,
    dataBody: null,
  });
});

test("a batch, and a push that names no receiver in its properties", async () => {
  const bob = await cim.v2(2);
  await sendMsg({ userId: 2, batchMsg: ["a", "b"], cmd: "OFFLINE" });
  expect(await bob.next()).toMatchObject({
    cmd: Command.OFFLINE,
    batch: ["a", "b"],
    properties: { receiveUserId: "2" },
  });
});

test("a push to somebody who is not here is answered 7000", async () => {
  expect(await sendMsg({ userId: 2, msg: "hi" })).toEqual({
    code: "7000",
    message: "user 2 is not on this server",
    reqNo: null,
    dataBody: null,
  });
});

test("a push of another shape is refused with what is wrong", async () => {
  const refused = [
    "{",
    "[]",
    JSON.stringify({ msg: "hi" }),
    JSON.stringify({ userId: "2", msg: "hi" }),
    JSON.stringify({ userId: 2 ** 53, msg: "hi" }),
    JSON.stringify({ userId: 2 }),
    JSON.stringify({ userId: 2, batchMsg: [] }),
    JSON.stringify({ userId: 2, msg: "hi", cmd: "PING" }),
    JSON.stringify({ userId: 2, msg: 7 }),
    JSON.stringify({ userId: 2, batchMsg: ["a", null] }),
    JSON.stringify({ userId: 2, msg: "hi", properties: { sendUserId: 1 } }),
    JSON.stringify({ userId: 2, msg: "x".repeat(2 * 1024 * 1024) }),
  ];
  const answers = [];
  for (const body of refused) answers.push(await (await post("/sendMsg", body)).json());
  expect(answers.map(({ code, dataBody }) => [code, dataBody])).toEqual(refused.map(() => ["3000", null]));
  expect(answers.map(({ message }) => message.split(":")[0])).toEqual([
    "body",
    "userId",
    "userId",
    "userId",
    "userId",
    "msg or batchMsg",
    "msg or batchMsg",
    "cmd",
    "msg",
    "batchMsg",
    "properties",
    "a body of more than 1048576 bytes",
  ]);
});

test("a push that would not fit a frame is refused", async () => {
  await cim.v2(2);
  expect(await sendMsg({ userId: 2, msg: "x".repeat(70_000) })).toMatchObject({
    code: "3000",
    dataBody: null,
  });
});

test("with passwords, only a route or the holder of the API key may push", async () => {
  await using locked = await openTestServer({ CIM_ADMIN_KEY: ADMIN_KEY });
  const service = (role: "route" | "server", tokens = locked.tokens) =>
    tokens.sign({ kind: "service", role, expiresAt: Date.now() + 60_000 });
  const bearers = [
    "",
    ADMIN_KEY.slice(0, -1),
    await service("server"),
    await service("route", new Tokens("another secret, of somebody else")),
    await locked.token(),
    await service("route"),
    ADMIN_KEY,
  ];
  const codes = [];
  for (const bearer of bearers) {
    const headers = bearer ? { authorization: `Bearer ${bearer}` } : undefined;
    const response = await post("/sendMsg", JSON.stringify({ userId: 2, msg: "hi" }), headers, locked);
    codes.push((await response.json()).code);
  }
  expect(codes).toEqual(["9110", "9110", "9110", "9110", "9110", "7000", "7000"]);
});

test("an internal call is refused but to a route that knows the secret, whatever the mode", async () => {
  const body = new Uint8Array();
  const stranger = new Link("route", new Tokens("another secret, of somebody else"));
  const server = new Link("server", cim.tokens);
  expect((await post("/internal/downlink", body)).status).toBe(401);
  for (const link of [stranger, server])
    await expect(link.post(`${cim.httpUrl}/internal/downlink`, body)).rejects.toThrow("CIM_SECRET");
  expect(await cim.route.push(cim.httpPort)).toBe(0);
  const garbage = new Link("route", cim.tokens).post(`${cim.httpUrl}/internal/downlink`, Uint8Array.of(255));
  await expect(garbage).rejects.toThrow("400");
});

test("health is 200 while it serves, and says in words what is missing while it does not", async () => {
  const health = async () => {
    const response = await fetch(`${cim.httpUrl}/health`);
    return [response.status, await response.json()];
  };
  const good = await health();
  cim.registrar.problem = "zookeeper does not answer";
  const bad = await health();
  expect([good, bad]).toEqual([
    [200, { status: "ok", troubles: [] }],
    [503, { status: "trouble", troubles: ["zookeeper does not answer"] }],
  ]);
});

test("metrics show who is there and what went on, each server its own", async () => {
  await using other = await openTestServer();
  const bob = await cim.client();
  await bob.ping();
  const page = await (await fetch(`${cim.httpUrl}/metrics`)).text();
  const values = (text: string) =>
    Object.fromEntries([...text.matchAll(/^(\w+) (\d+)$/gm)].map(([, name, value]) => [name, value]));
  expect(values(page)).toMatchObject({
    cim_connections: "1",
    cim_sessions: "1",
    cim_logins_total: "1",
    cim_frames_received_total: "2",
  });
  expect(values(await (await fetch(`${other.httpUrl}/metrics`)).text())).toMatchObject({
    cim_logins_total: "0",
  });
});

test("a path nobody knows, and a method it does not have, are 404", async () => {
  const asked = ["/", "/sendMsg", "/internal/uplink", "/health/x"].map((path) =>
    fetch(`${cim.httpUrl}${path}`),
  );
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([404, 404, 404, 404]);
});

test("the same calls are answered without a socket", async () => {
  const response = await cim.server.fetch(new Request("http://anywhere/health"));
  expect([response.status, await response.json()]).toEqual([200, { status: "ok", troubles: [] }]);
});

function post(path: string, body: BodyInit, headers: HeadersInit = {}, to = cim): Promise<Response> {
  return fetch(`${to.httpUrl}${path}`, { method: "POST", body, headers });
}

async function sendMsg(body: object): Promise<unknown> {
  return (await post("/sendMsg", JSON.stringify(body), { "content-type": "application/json" })).json();
}
