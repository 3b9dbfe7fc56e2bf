import { afterEach, expect, test } from "bun:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { addressOf } from "../../common/registry/registry.ts";
import { type UplinkItemSchema, UplinkReplySchema, UplinkSchema } from "../../proto/gen/link_pb.ts";
import { V2Route } from "../../server/v2-route.ts";
import { CimV2Route, pushV2 } from "../support/cim-v2-route.ts";
import { freePorts } from "../support/ports.ts";
import { until } from "../support/until.ts";
import { openTestServer, silent } from "./open-server.ts";

const SPRING_404 = { timestamp: "now", status: 404, error: "Not Found", path: "/internal/uplink" };
const EMPTY_LIST = { code: "9000", message: "Success", reqNo: null, dataBody: [] };

const stops: (() => void)[] = [];
const warnings: string[] = [];
const log = { ...silent, warn: (_: object, text: string) => void warnings.push(text) };

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  warnings.splice(0);
});

test("under a route of CIM v2 a login is believed, its pushes arrive, and it is told who went", async () => {
  await using route = new CimV2Route(() => []);
  await using cim = await openTestServer({ CIM_AUTH: "open", CIM_ROUTE_URL: route.url }, log);
  expect([cim.server.believes(), warnings]).toEqual([
    true,
    ["the route is one of CIM v2: WHOEVER LOGS IN IS BELIEVED, without asking anyone"],
  ]);
  const bob = await cim.v2(2);
  await pushV2(cim.httpUrl, { userId: 2, msg: "hi", sendUserId: 1, sendUserName: "ann" });
  expect((await bob.next()).text).toBe("hi");
  bob.drop();
  await until("the route is told", () => route.toldOffLine.length > 0);
  expect(route.toldOffLine).toEqual([2]);
});

test("who logs in again takes the place of the older connection, and the route hears only of the last one's end", async () => {
  await using route = new CimV2Route(() => []);
  await using cim = await openTestServer({ CIM_AUTH: "open", CIM_ROUTE_URL: route.url });
  const older = await cim.v2(2);
  const newer = await cim.v2(2);
  await older.ended;
  await pushV2(cim.httpUrl, { userId: 2, msg: "hi", sendUserId: 1, sendUserName: "ann" });
  expect([(await newer.next()).text, route.toldOffLine]).toEqual(["hi", []]);
  newer.drop();
  await until("the route is told", () => route.toldOffLine.length > 0);
  expect(route.toldOffLine).toEqual([2]);
});

test("a route that is not up yet is found out when it answers", async () => {
  const [port] = await freePorts(1);
  await using cim = await openTestServer({ CIM_AUTH: "open", CIM_ROUTE_URL: `http://127.0.0.1:${port}` });
  const bob = await cim.connect();
  bob.frame({ requestId: 2n, text: "bob" });
  expect(cim.server.believes()).toBe(false);
  await using route = new CimV2Route(() => [], port);
  await bob.ping();
  expect(cim.server.believes()).toBe(true);
  bob.drop();
  await until("the route is told", () => route.toldOffLine.length > 0);
});

test("no other answer is taken for a route of CIM v2, nor is one believed in password mode", async () => {
  const cases: [auth: string, answer: (path: string) => Response][] = [
    ["open", () => new Response("not found", { status: 404 })],
    // What a gateway written in Spring answers while its route is away.
    ["open", () => Response.json(SPRING_404, { status: 404 })],
    // A proxy that hides the internal calls of a route of ours.
    ["open", (path) => (path === "/onlineUser" ? ours() : new Response(null, { status: 404 }))],
    [
      "open",
      (path) => (path === "/onlineUser" ? Response.json(EMPTY_LIST) : new Response(null, { status: 503 })),
    ],
    [
      "password",
      (path) =>
        path === "/onlineUser" ? Response.json(EMPTY_LIST) : Response.json(SPRING_404, { status: 404 }),
    ],
  ];
  const outcomes = cases.map(async ([auth, answer]) => {
    const asked = Promise.withResolvers<void>();
    let calls = 0;
    const url = serve((path) => {
      // At the start, for the login, and once more.
      if (path === "/internal/uplink" && ++calls === 3) asked.resolve();
      return answer(path);
    });
    await using cim = await openTestServer({ CIM_AUTH: auth, CIM_ROUTE_URL: url });
    const wire = await cim.connect();
    wire.frame({ requestId: 2n, text: "bob" });
    wire.frame({ cmd: 2 });
    await (auth === "password" ? wire.ended : asked.promise);
    const outcome = [wire.frames, cim.server.believes()];
    wire.drop();
    return outcome;
  });
  expect(await Promise.all(outcomes)).toEqual(cases.map(() => [[], false]));
}, 20_000);

test("once a route of ours has answered, a missing path is a fault of what lies in between", async () => {
  const calls = [ok, notFound, notFound];
  const route = v2Route(() => calls.shift()!());
  await route.call(uplink());
  expect(route.call(uplink())).rejects.toThrow("answered 404");
  await expect(route.call(uplink())).rejects.toThrow("answered 404");
  expect(route.believes).toBe(false);
});

test("a route of ours that takes the place of one of CIM v2 is told who is here, and believed from then on", async () => {
  let replaced = 0;
  const calls = [notFound, ok, ok];
  const route = v2Route(() => calls.shift()!(), { replaced: () => void replaced++ });
  await route.look();
  const before = [route.believes, replaced];
  await route.call(uplink());
  await route.call(uplink());
  expect([before, route.believes, replaced]).toEqual([[true, 0], false, 1]);
});

test("the route is not told of an end that a newer login followed", async () => {
  const told: number[] = [];
  const route = v2Route(notFound, { isHere: (userId) => userId === 4 }, told);
  const release = (userId: bigint) => ({ userId, body: { case: "release" as const, value: {} } });
  const adopt = (userId: bigint) => ({ userId, body: { case: "adopt" as const, value: {} } });
  const answer = await route.call(uplink(release(2n), adopt(3n), release(3n), adopt(2n), release(4n)));
  expect([
    told,
    fromBinary(UplinkReplySchema, answer).results.map(({ code, sessionId }) => `${code} ${sessionId}`),
  ]).toEqual([[3], ["9000 ", "9000 boot-3", "9000 ", "9000 boot-2", "9000 "]]);
});

test("sessions of a route of ours end under one of CIM v2", async () => {
  const route = v2Route(notFound);
  const confirm = { userId: 2n, body: { case: "confirm" as const, value: {} } };
  const [result] = fromBinary(UplinkReplySchema, await route.call(uplink(confirm))).results;
  expect(result).toMatchObject({ code: "9110", goodbye: "session_over" });
});

test("a server is found by the name it registers under, split at its colons", async () => {
  const nodes: string[] = [];
  await using route = new CimV2Route(() => nodes);
  await using cim = await openTestServer({ CIM_AUTH: "open", CIM_ROUTE_URL: route.url });
  nodes.push(addressOf(cim.server.instance()));
  const call = async (path: string, body: unknown) => {
    const response = await fetch(`${route.url}${path}`, { method: "POST", body: JSON.stringify(body) });
    return (await response.json()) as unknown;
  };
  await call("/registerAccount", { userName: "ann" });
  expect(await call("/login", { userId: 1, userName: "ann" })).toMatchObject({
    dataBody: { ip: "127.0.0.1", cimServerPort: cim.port, httpPort: cim.httpPort },
  });
});

function v2Route(
  post: () => Promise<Uint8Array>,
  given: { isHere?: (userId: number) => boolean; replaced?: () => void } = {},
  told: number[] = [],
): V2Route {
  const fetch = async (request: Request) => {
    if (request.method === "POST") told.push(((await request.json()) as { userId: number }).userId);
    return Response.json(EMPTY_LIST);
  };
  const defaults = { isHere: () => false, replaced: () => {} };
  return new V2Route({
    routeUrl: "http://route",
    bootId: "boot",
    post,
    fetch,
    log: silent,
    ...defaults,
    ...given,
  });
}

function uplink(...items: MessageInitShape<typeof UplinkItemSchema>[]): Uint8Array<ArrayBuffer> {
  return toBinary(UplinkSchema, create(UplinkSchema, { items }));
}

async function ok(): Promise<Uint8Array> {
  return toBinary(UplinkReplySchema, create(UplinkReplySchema));
}

async function notFound(): Promise<Uint8Array> {
  throw new Error("http://route/internal/uplink answered 404", { cause: 404 });
}

function ours(): Response {
  return Response.json({
    ...EMPTY_LIST,
    code: "3000",
    message: "limit=0: want a whole number",
    dataBody: null,
  });
}

function serve(fetch: (path: string) => Response): string {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => fetch(new URL(request.url).pathname),
  });
  stops.push(() => void server.stop(true));
  return `http://127.0.0.1:${server.port}`;
}
