/** A connection's deadlines, with the clock in hand. */
import { beforeEach, expect, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import { Wheel } from "../../common/wheel.ts";
import { encodeFrame, FrameReader } from "../../proto/frame.ts";
import { Command, type Frame, FrameSchema } from "../../proto/gen/cim_pb.ts";
import { Capacity } from "../../server/capacity.ts";
import { Client } from "../../server/client.ts";
import { Connection } from "../../server/connection.ts";
import { Meters } from "../../server/meters.ts";
import type { Parts, Socket } from "../../server/party.ts";
import { Push } from "../../server/push.ts";
import type { Rest } from "../../server/rest.ts";
import { Sessions } from "../../server/sessions.ts";
import { encoded } from "./far-route.ts";
import { silent } from "./open-server.ts";

const SECOND = 1000;
const HEARTBEAT = 60 * SECOND;
const KIB = 1024;

/** Takes `room` bytes; what was done to it is noted. */
class NotedSocket implements Socket {
  readonly done: string[] = [];
  readonly frames: Frame[] = [];
  room = Number.POSITIVE_INFINITY;
  readonly #reader = new FrameReader();

  write(bytes: Uint8Array): number {
    const taken = Math.min(this.room, bytes.length);
    this.room -= taken;
    this.#reader.push(bytes.subarray(0, taken), (frame) => this.frames.push(fromBinary(FrameSchema, frame)));
    return taken;
  }

  shutdown(): void {
    this.done.push("shutdown");
  }

  end(): void {
    this.done.push("end");
  }

  terminate(): void {
    this.done.push("terminate");
  }

  get goodbyes(): string[] {
    return this.frames.flatMap(({ body }) => (body.case === "goodbye" ? [body.value.reason] : []));
  }
}

let now: number;
let wheel: Wheel;
let socket: NotedSocket;
let connection: Connection;
let released: number;
let sends: Uint8Array[];
let capacity: Capacity;
let parts: Parts;

beforeEach(() => {
  now = 0;
  released = 0;
  sends = [];
  wheel = new Wheel({ tickMs: 250, clock: () => now });
  capacity = new Capacity({ connections: 10, turnedAway: 10, perAddress: 10 });
  const uplink = {
    release: () => released++,
    ack() {},
    send: (_: unknown, send: Uint8Array) => sends.push(send),
    sync() {},
    confirm() {},
  };
  parts = {
    config: { auth: "password", heartbeatMs: HEARTBEAT, maxUnsentBytes: 128 * KIB },
    bootId: "b",
    sessions: new Sessions(),
    newcomers: new Set(),
    capacity,
    wheel,
    meters: new Meters(),
    rest: null,
    log: silent,
    uplink: uplink as unknown as Parts["uplink"],
    tokens: null as unknown as Parts["tokens"],
    login: () => Promise.resolve(),
  };
  socket = new NotedSocket();
  connection = new Connection(parts, socket, capacity.enter("10.0.0.1")!);
});

test("a connection that does not log in within 10 s is closed and told nothing, whatever else it says", () => {
  runTo(9.75 * SECOND);
  connection.data(Uint8Array.of(0x80));
  expect(socket.done).toEqual([]);
  runTo(10.3 * SECOND);
  expect([socket.done, socket.frames]).toEqual([["end"], []]);
});

test("a client of ours whose login is not answered in 10 s is told to come back", () => {
  connection.check(true);
  runTo(10.3 * SECOND);
  expect([socket.goodbyes, socket.done]).toEqual([["no_login"], ["shutdown"]]);
});

test("two and a half heartbeats of silence end a connection, and release its session", () => {
  admit();
  runTo(149 * SECOND);
  expect(socket.done).toEqual([]);
  runTo(151 * SECOND);
  expect([socket.goodbyes, socket.done, released, parts.sessions.size]).toEqual([
    ["silent"],
    ["shutdown"],
    1,
    0,
  ]);
});

test("any frame counts as life", () => {
  admit();
  for (let i = 1; i <= 10; i++) {
    runTo(i * 140 * SECOND);
    connection.data(encodeFrame({ cmd: Command.CONTROL, body: { case: "ack", value: {} } }));
  }
  expect(socket.done).toEqual([]);
});

test("a ping alone is a heartbeat, and ends the turn as one; whatever says more is not", () => {
  let turns = 0;
  parts.rest = { heartbeat: () => turns++ } as unknown as Rest;
  admit();
  const ping = encodeFrame({ cmd: Command.PING });
  const { stirs } = parts.meters;
  connection.data(ping);
  connection.data(ping);
  expect([turns, parts.meters.heartbeats, parts.meters.stirs]).toEqual([2, 2, stirs]);
  connection.data(encodeFrame({ cmd: Command.PING, requestId: 7n }));
  connection.data(Buffer.concat([ping, ping]));
  connection.data(encodeFrame({ cmd: Command.CONTROL, body: { case: "ack", value: {} } }));
  expect([turns, parts.meters.heartbeats, parts.meters.stirs]).toEqual([2, 2, stirs + 4]);
});

test("one that was said goodbye to and does not close is closed after 5 s, and then at once", () => {
  admit();
  connection.end("kicked");
  expect([socket.goodbyes, socket.done]).toEqual([["kicked"], ["shutdown"]]);
  runTo(5.3 * SECOND);
  runTo(10.6 * SECOND);
  expect(socket.done).toEqual(["shutdown", "end", "terminate"]);
});

test("after its goodbye nothing it says is heard, and nothing is written to it", () => {
  admit();
  connection.end("kicked");
  connection.end("slow");
  connection.data(encodeFrame({ cmd: Command.PING }));
  expect([socket.frames.length, connection.send(new Uint8Array(1), false)]).toEqual([1, "closed"]);
});

test("the goodbye stands behind what was written before, and the connection ends when all of it has left", () => {
  admit();
  socket.room = 10;
  connection.reply(encodeFrame({ cmd: Command.PING, text: "x".repeat(100) }));
  connection.end("shutdown");
  expect(socket.done).toEqual([]);
  socket.room = 10_000;
  connection.drained();
  expect([socket.frames.map(({ cmd }) => cmd), socket.goodbyes, socket.done]).toEqual([
    [Command.PING, Command.CONTROL],
    ["shutdown"],
    ["shutdown"],
  ]);
});

test("a client whose socket takes nothing is not pushed beyond its limit, and has 30 s to catch up", async () => {
  admit();
  socket.room = 0;
  for (let seq = 1; seq <= 20; seq++) push(seq, 10 * KIB);
  expect([connection.unsent < 128 * KIB, parts.meters.pushes, parts.meters.pushesLeftOut]).toEqual([
    true,
    12,
    8,
  ]);
  runTo(20 * SECOND);
  socket.room = 1_000_000;
  connection.drained();
  await turn();
  expect(socket.frames.at(-1)?.body).toMatchObject({
    case: "lagging",
    value: { conversations: ["p2p:1:2"] },
  });
  runTo(60 * SECOND);
  expect([socket.done, parts.meters.pushes]).toEqual([[], 12]);
  push(21, KIB);
  expect(parts.meters.pushes).toBe(13);
});

test("one that does not catch up in 30 s is slow", () => {
  admit();
  socket.room = 0;
  for (let seq = 1; seq <= 20; seq++) push(seq, 10 * KIB);
  runTo(29 * SECOND);
  connection.data(encodeFrame({ cmd: Command.PING }));
  expect(parts.sessions.size).toBe(1);
  runTo(31 * SECOND);
  expect([parts.sessions.size, [...parts.meters.ended]]).toEqual([0, [["slow", 1]]]);
  runTo(42 * SECOND);
  expect(socket.done).toEqual(["end", "terminate"]);
});

test("one that does not take the answers to what it asks is slow at once", () => {
  admit();
  socket.room = 0;
  for (let i = 0; i < 3; i++) connection.reply(new Uint8Array(60 * KIB));
  expect([...parts.meters.ended]).toEqual([["slow", 1]]);
});

test("a session that another connection took over is not released by the end of the first", () => {
  admit();
  const second = new Connection(parts, new NotedSocket(), capacity.enter("10.0.0.1")!);
  admit(second);
  connection.closed();
  expect([socket.goodbyes, released, parts.sessions.bySession("s2") === second]).toEqual([
    ["replaced"],
    0,
    true,
  ]);
  second.closed();
  expect([released, parts.sessions.size]).toEqual([1, 0]);
});

test("what it keeps of what the socket read is a copy: the socket reads into the same bytes again", async () => {
  const read = Buffer.from(encodeFrame({ cmd: Command.PING, requestId: 5n }));
  connection.check(true);
  connection.data(read);
  read.fill(0);
  admit();
  connection.admitted();
  expect(socket.frames.map(({ requestId }) => requestId)).toEqual([5n]);
  const send = { case: "send" as const, value: Uint8Array.of(1, 2, 3) };
  const next = Buffer.from(encodeFrame({ cmd: Command.CONTROL, body: send }));
  connection.data(next);
  next.fill(0);
  expect(sends).toEqual([Uint8Array.of(1, 2, 3)]);
});

test("a socket that closes leaves nothing behind, also in the midst of its goodbye", () => {
  admit();
  connection.end("kicked");
  connection.closed();
  connection.closed();
  runTo(1000 * SECOND);
  expect([socket.done, capacity.open, released, connection.slot]).toEqual([["shutdown"], 0, 1, -1]);
});

test("an error of our own ends the one connection and is logged whole", () => {
  const errors: object[] = [];
  parts.log = { ...silent, error: (fields) => errors.push(fields) };
  admit();
  Object.assign(connection.party!, {
    frame() {
      throw new TypeError("a bug");
    },
  });
  connection.data(encodeFrame({ cmd: Command.PING, requestId: 7n }));
  expect([socket.goodbyes, errors]).toEqual([
    ["unavailable"],
    [{ error: "TypeError: a bug", stack: expect.stringContaining("connection.test.ts") }],
  ]);
});

function admit(on = connection): void {
  on.check(true);
  on.admit(new Client(on, { userId: 2, userName: "bob", sessionId: "s2", device: "" }, parts));
}

function push(seq: number, bytes: number): void {
  const message = encoded("p2p:1:2", seq, "x".repeat(bytes));
  const delivery = {
    message,
    conversation: "p2p:1:2",
    seq,
    everyone: false,
    userIds: [2],
    exceptUserId: 0,
    exceptSessionId: "",
  };
  connection.party!.push(new Push(delivery), false);
}

/** What was gathered in this turn of the event loop has been written. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function runTo(time: number): void {
  while (now < time) {
    now += 250;
    wheel.advance();
  }
}
