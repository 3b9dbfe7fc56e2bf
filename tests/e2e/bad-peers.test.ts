/** Connections that do not keep to the protocol, or do not keep up: they end or wait, and nobody else notices. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { CimV2Client } from "../support/cim-v2-client.ts";
import { encodeV2, V2_COMMAND } from "../support/cim-v2-wire.ts";
import { PROCESS_TEST_MS } from "../support/process.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { System } from "../support/system.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const KIB = 1024;
const LOGIN_DEADLINE_MS = 10_000;

let system: System;
let ann: CimV2Client;
let bob: CimV2Client;
let speechless: RawConnection;

beforeAll(async () => {
  system = await System.start({
    env: { CIM_AUTH: "open", CIM_HEARTBEAT_SECONDS: "3600", CIM_MAX_MESSAGES_PER_SECOND: "10000" },
  });
  speechless = await RawConnection.open(system.serverPort);
  ann = await CimV2Client.start(system.routeUrl, "ann");
  bob = await CimV2Client.start(system.routeUrl, "bob");
});
afterAll(() => system?.end());

/** What is written first on a new connection; all of it ends it. */
const REFUSED: [name: string, bytes: Uint8Array][] = [
  ["an empty frame, which is not user 0", bytes("00")],
  ["a length that never ends", bytes("ff".repeat(64))],
  ["a length of 64 KiB and one byte", bytes("818004")],
  ["a length of 2 GiB", bytes("ffffffff07")],
  ["a length of 2^32 + 1 in six bytes", bytes("818080801001")],
  ["a frame that is no protobuf", bytes("04ffffffff")],
  ["a frame whose field goes beyond its end", bytes("020a7f")],
  ["a frame that is no login", encodeV2({ cmd: V2_COMMAND.PING, requestId: 1, reqMsg: "ping" })],
  ["a login as user 0", encodeV2({ reqMsg: "nobody" })],
  ["a login as user -1", bytes("0b" + "10ffffffffffffffffff01")],
  ["a login by a user who does not exist", encodeV2({ requestId: 999_999, reqMsg: "nobody" })],
  ["a login without a claim", encodeV2({ requestId: 1, reqMsg: "ann" })],
  ["a name that is not UTF-8", bytes("06" + "0a02c328" + "1001")],
  ["an HTTP request", new TextEncoder().encode(`GET /${"x".repeat(100)} HTTP/1.1\r\n\r\n`)],
  ["a TLS hello", bytes(`16030100c8010000c40303${"5a".repeat(200)}`)],
];

for (const [name, first] of REFUSED) {
  test(`fault 18: ${name} ends the connection`, async () => {
    const connection = await RawConnection.open(system.serverPort);
    await connection.write(first);
    await connection.ended(`the connection that wrote ${name} is closed`, 5000);
    expect(Buffer.from(connection.received).toString("hex")).toBe("");
  });
}

test("a login and a ping that come a byte at a time are understood", async () => {
  const cat = await CimV2Client.register(system.routeUrl, "cat");
  const { dataBody } = await cat.claim();
  const connection = await RawConnection.open(dataBody.cimServerPort);
  const stream = Buffer.concat([
    encodeV2({ requestId: cat.userId, reqMsg: "cat" }),
    encodeV2({ cmd: V2_COMMAND.PING, requestId: cat.userId, reqMsg: "ping" }),
  ]);
  for (const byte of stream) await connection.write(Uint8Array.of(byte));
  await until("the pong", () => connection.received.length > 0);
  connection.destroy();
});

test("fault 18: a malformed frame ends a connection that is logged in, too", async () => {
  const cat = await CimV2Client.start(system.routeUrl, "cat who errs");
  cat.writeBytes(bytes("04ffffffff"));
  await cat.ended();
  await cat.loginAgain();
  await cat.close();
});

test("garbage on 200 sockets at once ends those, and nobody else notices", async () => {
  const connections = await Promise.all(
    Array.from({ length: 200 }, () => RawConnection.open(system.serverPort)),
  );
  const done = Promise.all(
    connections.map(async (connection, i) => {
      await connection.write(garbage(i, 128 * KIB));
      await connection.ended(`garbage ${i} is closed`);
    }),
  );
  const before = bob.received.length;
  for (let i = 0; i < 20; i++) expect((await ann.sendP2P(bob.userId, `meanwhile ${i}`)).code).toBe("9000");
  await bob.texts(before + 20);
  await done;
});

test("a reader that never reads holds nobody up and loses nothing", async () => {
  const slow = await CimV2Client.start(system.routeUrl, "slow");
  const cat = await CimV2Client.start(system.routeUrl, "cat who reads");
  slow.pause();
  const texts = Array.from({ length: 300 }, (_, i) => `${i} ${"x".repeat(50 * KIB)}`);
  for (const text of texts) expect((await ann.sendP2P(slow.userId, text)).code).toBeOneOf(["9000", "7000"]);
  expect((await ann.sendP2P(cat.userId, "and you?")).code).toBe("9000");
  expect(await cat.texts(1)).toEqual(["and you?"]);
  slow.resume();
  // What went into the kernel arrives; if it was sent away as slow it comes back, as a CIM v2 client would.
  await until("it has read all that was written to it", async () => {
    if (slow.closed) await slow.loginAgain();
    await slow.fetchOfflineMsgs();
    await slow.ping();
    return slow.received.length >= texts.length;
  });
  expect(slow.received.map((message) => summary(message.text))).toEqual(texts.map(summary));
  await Promise.all([slow, cat].map((client) => client.close()));
});

test("fault 18: a connection that falls silent is closed after two and a half heartbeats", async () => {
  await using other = await System.start({ env: { CIM_AUTH: "open", CIM_HEARTBEAT_SECONDS: "1" } });
  const silent = await CimV2Client.start(other.routeUrl, "silent");
  await silent.ended();
  const dan = await CimV2Client.start(other.routeUrl, "dan");
  await until("it is offline", async () => (await dan.onlineUsers()).dataBody.length === 1);
});

test("a socket that never logs in is closed", async () => {
  await speechless.ended("the socket that never logged in is closed", LOGIN_DEADLINE_MS + 5000);
  expect(speechless.received.length).toBe(0);
});

/** Enough of a long text to know it by. */
function summary(text: string): string {
  return `${text.split(" ")[0]}: ${text.length}`;
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex);
}

/** The same bytes for the same seed: xorshift32 (Marsaglia, "Xorshift RNGs", 2003). */
function garbage(seed: number, length: number): Uint8Array {
  let state = seed + 1;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  });
}
