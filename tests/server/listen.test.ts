import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { ConfigError } from "../../common/config.ts";
import { encodeFrame, FrameReader, WEBSOCKET_PATH } from "../../proto/frame.ts";
import { Command, type Frame, FrameSchema } from "../../proto/gen/cim_pb.ts";
import { delivery } from "./far-route.ts";
import { openTestServer } from "./open-server.ts";

test("a port that is taken is an error that names it, whoever has it, and what was opened is closed again", async () => {
  await using cim = await openTestServer();
  const plain = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const attempts: [name: string, port: number][] = [
    ["CIM_SERVER_PORT", cim.port],
    ["CIM_SERVER_PORT", plain.port],
    ["CIM_SERVER_HTTP_PORT", cim.httpPort],
    ["CIM_SERVER_HTTP_PORT", plain.port],
  ];
  for (const [name, port] of attempts)
    await expect(openTestServer({ [name]: String(port) })).rejects.toThrow(
      new ConfigError(`${name}=${port}: the port is taken`),
    );
  const free = plain.port;
  plain.stop(true);
  const failed = openTestServer({
    CIM_SERVER_PORT: String(free),
    CIM_SERVER_HTTP_PORT: String(cim.httpPort),
  });
  await expect(failed).rejects.toThrow("CIM_SERVER_HTTP_PORT");
  await using again = await openTestServer({ CIM_SERVER_PORT: String(free) });
  expect(again.port).toBe(free);
});

test("an address that is not ours, and a certificate that is not there, are errors that name them", async () => {
  await expect(openTestServer({ CIM_HOST: "192.0.2.1" })).rejects.toThrow(
    /^CIM_HOST=192.0.2.1: not an address of this machine/,
  );
  await expect(openTestServer({ CIM_TLS_CERT: "/nowhere.pem", CIM_TLS_KEY: "/nowhere.pem" })).rejects.toThrow(
    /^CIM_TLS_CERT=\/nowhere.pem: cannot read it: ENOENT/,
  );
});

test("several servers run in one process", async () => {
  await using a = await openTestServer();
  await using b = await openTestServer();
  const [one, two] = [await a.client(), await b.client()];
  await a.server.close();
  await one.ended;
  expect([(await two.ping()).text, a.server.instance().bootId === b.server.instance().bootId]).toEqual([
    "pong",
    false,
  ]);
});

test("2,000 clients that come at once are all served", async () => {
  await using cim = await openTestServer();
  const tokens = await Promise.all(
    Array.from({ length: 2000 }, (_, i) => cim.token({ userId: i + 1, sessionId: `s${i}` })),
  );
  const welcomed = await Promise.all(
    tokens.map(async (token) => {
      const wire = await cim.connect();
      wire.login(token);
      return wire.body("welcome");
    }),
  );
  expect([welcomed.length, cim.server.instance().connections]).toEqual([2000, 2000]);
});

test("clients and routes are served over TLS, and one that speaks something else is closed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "cim-tls-"));
  const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  const openssl = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"];
  await Bun.spawn(["openssl", ...openssl, "-keyout", key, "-out", cert], { stderr: "ignore" }).exited;
  await using cim = await openTestServer({ CIM_TLS_CERT: cert, CIM_TLS_KEY: key });
  const wire = await cim.connect({ tls: true });
  wire.login(await cim.token());
  await wire.body("welcome");
  const health = await fetch(`${cim.httpUrl}/health`, { tls: { rejectUnauthorized: false } });
  expect([cim.server.instance().tls, health.status, (await wire.ping()).text]).toEqual([true, 200, "pong"]);
  const mute = await cim.connect();
  expect(cim.server.instance().connections).toBe(2);
  mute.write(new Uint8Array(64).fill(7));
  await mute.ended;
  await rm(directory, { recursive: true });
});

test("over a WebSocket the same bytes go both ways, cut anywhere", async () => {
  await using cim = await openTestServer();
  const { socket, frames, next } = await webSocket(cim.httpPort);
  const login = encodeFrame({
    cmd: Command.LOGIN,
    body: { case: "login", value: { token: await cim.token() } },
  });
  socket.send(login.slice(0, 10));
  socket.send(login.slice(10));
  expect((await next()).body.case).toBe("welcome");
  const texts = Array.from({ length: 100 }, (_, i) => `${i} ${"x".repeat(1000)}`);
  const items = texts.map((text, i) => delivery("p2p:1:2", i + 1, text, { userIds: [2n] }));
  await cim.route.push(cim.httpPort, ...items);
  for (let i = 0; i < texts.length; i++) expect((await next()).body.case).toBe("message");
  socket.send(Buffer.concat([1n, 2n].map((requestId) => encodeFrame({ cmd: Command.PING, requestId }))));
  expect([(await next()).requestId, (await next()).requestId, frames.length]).toEqual([1n, 2n, 0]);
  const closed = new Promise<void>((resolve) => {
    socket.onclose = () => resolve();
  });
  await cim.route.push(cim.httpPort, {
    body: { case: "close", value: { userId: 2n, sessionId: "session-2", goodbye: "kicked" } },
  });
  expect((await next()).body).toMatchObject({ case: "goodbye", value: { reason: "kicked" } });
  await closed;
});

test("a WebSocket that says something in text, or too much at once, is closed", async () => {
  await using cim = await openTestServer();
  for (const message of ["hello", new Uint8Array(70_000)]) {
    const { socket } = await webSocket(cim.httpPort);
    const closed = new Promise<void>((resolve) => {
      socket.onclose = () => resolve();
    });
    socket.send(message);
    await closed;
  }
});

test("a WebSocket that nobody reads takes no more than the limit, as a TCP connection does", async () => {
  await using cim = await openTestServer({ CIM_AUTH: "open" });
  const socket = await upgraded(cim.httpPort);
  socket.write(masked(encodeFrame({ requestId: 2n, text: "bob" })));
  await cim.route.next("adopt");
  socket.pause();
  const push = JSON.stringify({ userId: 2, msg: "x".repeat(50_000) });
  const codes = new Set<string>();
  for (let i = 0; i < 400 && !codes.has("8000"); i++) {
    const answer = await fetch(`${cim.httpUrl}/sendMsg`, { method: "POST", body: push });
    codes.add((await answer.json()).code);
  }
  expect(codes).toContain("8000");
  socket.destroy();
});

/** A WebSocket that can be left unread, which the client of the platform cannot. */
async function upgraded(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  const headers = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13";
  const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
  socket.write(`GET ${WEBSOCKET_PATH} HTTP/1.1\r\nHost: x\r\n${headers}\r\n${key}\r\n\r\n`);
  await new Promise((resolve) => socket.once("data", resolve));
  return socket;
}

/** One binary message of less than 126 bytes as a client frames it (RFC 6455, 5.2), with a mask of zeros. */
function masked(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(0x82, 0x80 | bytes.length, 0, 0, 0, 0), bytes]);
}

async function webSocket(port: number) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${WEBSOCKET_PATH}`);
  socket.binaryType = "arraybuffer";
  const frames: Frame[] = [];
  const reader = new FrameReader();
  let wake = () => {};
  socket.onmessage = ({ data }) => {
    reader.push(new Uint8Array(data), (frame) => frames.push(fromBinary(FrameSchema, frame)));
    wake();
  };
  await new Promise<void>((resolve) => {
    socket.onopen = () => resolve();
  });
  const next = async (): Promise<Frame> => {
    while (frames.length === 0)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return frames.shift()!;
  };
  return { socket, frames, next };
}
