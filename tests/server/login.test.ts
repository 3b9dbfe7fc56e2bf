import { afterEach, beforeEach, expect, test } from "bun:test";
import { encodeFrame } from "../../proto/frame.ts";
import { Command } from "../../proto/gen/cim_pb.ts";
import { type OpenServer, openTestServer } from "./open-server.ts";
import type { Wire } from "./wire.ts";

let cim: OpenServer;

beforeEach(async () => {
  cim = await openTestServer();
});
afterEach(() => cim[Symbol.asyncDispose]());

test("a login with a token is welcomed with what the client needs to know, and confirmed to the route", async () => {
  const wire = await cim.connect();
  wire.login(await cim.token({ userId: 2, userName: "bob", sessionId: "s2", device: "phone" }));
  expect(await wire.body("welcome")).toMatchObject({
    sessionId: "s2",
    heartbeatMs: 60_000,
    maxFrameBytes: 65_536,
    maxContentBytes: 61_440,
  });
  expect(await cim.route.next("confirm")).toMatchObject({
    userId: 2n,
    userName: "bob",
    sessionId: "s2",
    device: "phone",
  });
});

test("each is welcomed with its own session's id, whatever its length", async () => {
  const ids = ["aaaa", "bbbb", "a", "é", "x".repeat(200), ""];
  const welcomed = [];
  for (const [i, sessionId] of ids.entries()) {
    const wire = await cim.connect();
    wire.login(await cim.token({ userId: i + 1, sessionId }));
    const { sessionId: told, heartbeatMs } = await wire.body("welcome");
    welcomed.push({ told, heartbeatMs });
  }
  expect(welcomed).toEqual(ids.map((told) => ({ told, heartbeatMs: 60_000 })));
});

test("a token that does not hold is refused with what is wrong with it", async () => {
  const good = await cim.token();
  const refused = {
    missing: "",
    bent: `${good.slice(0, -2)}${good.endsWith("AA") ? "BB" : "AA"}`,
    cut: good.slice(0, 40),
    huge: `cim1.${"x".repeat(3000)}`,
    expired: await cim.token({ expiresAt: Date.UTC(2020, 0) }),
    "of another start": await cim.token({ bootId: "another" }),
    "of a route": await cim.tokens.sign({ kind: "service", role: "route", expiresAt: Date.now() + 60_000 }),
  };
  const goodbyes: Record<string, unknown> = {};
  for (const [name, token] of Object.entries(refused)) {
    const wire = await cim.connect();
    wire.login(token);
    goodbyes[name] = await wire.goodbye();
    await wire.ended;
  }
  const malformed = { reason: "bad_token", text: "the token is malformed" };
  expect(goodbyes).toEqual({
    missing: malformed,
    bent: { reason: "bad_token", text: "the token has a wrong signature" },
    cut: malformed,
    huge: malformed,
    expired: { reason: "session_over", text: "the token expired at 2020-01-01T00:00:00.000Z" },
    "of another start": { reason: "wrong_server", text: "the token is for another server" },
    "of a route": { reason: "bad_token", text: "the token is a service token, want a session token" },
  });
  expect(cim.route.items).toEqual([]);
});

test("in password mode a login without a token is closed, and told nothing", async () => {
  const wire = await cim.connect();
  wire.frame({ requestId: 2n, text: "bob" });
  await wire.ended;
  expect([wire.frames, cim.route.items]).toEqual([[], []]);
});

test("frames that come while the token is checked wait and are answered in their order", async () => {
  const wire = await cim.connect();
  const frames = [
    { cmd: Command.LOGIN, body: { case: "login" as const, value: { token: await cim.token() } } },
    { cmd: Command.PING, requestId: 5n },
    { cmd: Command.PING, requestId: 6n },
  ];
  wire.write(Buffer.concat(frames.map((frame) => encodeFrame(frame))));
  const answers = [await wire.next(), await wire.next(), await wire.next()];
  expect(answers.map(({ cmd, requestId, text }) => [cmd, requestId, text])).toEqual([
    [Command.CONTROL, 0n, ""],
    [Command.PING, 5n, "pong"],
    [Command.PING, 6n, "pong"],
  ]);
});

test("too many frames before the answer to the login end the connection", async () => {
  const wire = await cim.connect();
  const login = { cmd: Command.LOGIN, body: { case: "login" as const, value: { token: await cim.token() } } };
  const pings = Array.from({ length: 17 }, () => encodeFrame({ cmd: Command.PING }));
  wire.write(Buffer.concat([encodeFrame(login), ...pings]));
  expect(await wire.goodbye()).toEqual({
    reason: "bad_frame",
    text: "17 frames of 34 bytes before the answer to the login",
  });
});

test("the same session on a new connection replaces the old one; the session is not released", async () => {
  const old = await cim.client({ sessionId: "s2" });
  const next = await cim.client({ sessionId: "s2" });
  expect(await old.goodbye()).toEqual({ reason: "replaced", text: "the same session connected again" });
  await old.ended;
  next.drop();
  await cim.route.next("release");
  expect(kinds()).toEqual([]);
});

test("a session whose connection is gone is released, once, and not as meant", async () => {
  const wire = await cim.client({ sessionId: "s2" });
  wire.drop();
  expect(await cim.route.next("release")).toMatchObject({
    sessionId: "s2",
    body: { value: { clean: false } },
  });
});

test("a confirm that is refused ends the connection with the goodbye the route says, and nothing is released", async () => {
  const others = await cim.client({ userId: 3, sessionId: "s3" });
  await cim.route.next("confirm");
  cim.route.answer = ({ body }) =>
    body.case === "confirm" ? { code: "9110", text: "Not yours", goodbye: "kicked" } : {};
  const wire = await cim.client({ userId: 2, sessionId: "s2" });
  expect(await wire.goodbye()).toEqual({ reason: "kicked", text: "the account logged in elsewhere" });
  await wire.ended;
  expect((await others.ping()).text).toBe("pong");
  expect(kinds()).not.toContain("release");
});

test("a route ends a session's connection, and only that one", async () => {
  const [bob, cat] = [
    await cim.client({ userId: 2, sessionId: "s2" }),
    await cim.client({ userId: 3, sessionId: "s3" }),
  ];
  const close = { userId: 2n, sessionId: "s2", goodbye: "logged_out" };
  await cim.route.push(cim.httpPort, { body: { case: "close", value: close } });
  await cim.route.push(cim.httpPort, {
    body: { case: "close", value: { ...close, sessionId: "long gone" } },
  });
  expect(await bob.goodbye()).toEqual({ reason: "logged_out", text: "the session was logged out" });
  await bob.ended;
  expect((await cat.ping()).text).toBe("pong");
  expect(kinds()).not.toContain("release");
});

test("several sessions of one user are there side by side", async () => {
  const devices = await Promise.all(
    ["phone", "laptop"].map((device) => cim.client({ sessionId: device, device })),
  );
  devices[0]!.drop();
  expect(await cim.route.next("release")).toMatchObject({ sessionId: "phone", device: "phone" });
  expect((await devices[1]!.ping()).text).toBe("pong");
});

test("a second login on a connection ends it", async () => {
  const wire = await cim.client();
  wire.login(await cim.token());
  expect(await wire.goodbye()).toEqual({ reason: "bad_frame", text: "a frame of command 0 after the login" });
});

test("beyond the connections of an address, newcomers are told full once they have said who they are", async () => {
  await using limited = await openTestServer({ CIM_HOST: "0.0.0.0", CIM_MAX_CONNECTIONS_PER_ADDRESS: "1" });
  const address = Object.values((await import("node:os")).networkInterfaces())
    .flat()
    .find((one) => one && !one.internal && one.family === "IPv4")?.address;
  // A machine with nothing but loopback has no address that counts.
  if (!address) return;
  const { Wire } = await import("./wire.ts");
  const open = () => Wire.connect(limited.port, { hostname: address });
  const first = await open();
  first.login(await limited.token());
  await first.body("welcome");
  const second: Wire = await open();
  second.login(await limited.token({ userId: 3, sessionId: "s3" }));
  expect(await second.goodbye()).toEqual({
    reason: "full",
    text: `1 connections from ${address}, which is the limit`,
  });
  expect((await first.ping()).text).toBe("pong");
});

function kinds(): (string | undefined)[] {
  return cim.route.items.map(({ body }) => body.case);
}
