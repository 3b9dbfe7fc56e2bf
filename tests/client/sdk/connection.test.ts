import { describe, expect, test } from "bun:test";
import { type Connection, type ConnectionEnd, openConnection } from "../../../client/sdk/connection.ts";
import { tcp } from "../../../client/sdk/tcp.ts";
import type { Dial } from "../../../client/sdk/transport.ts";
import { encodeFrame } from "../../../proto/frame.ts";
import { Command, type Frame } from "../../../proto/gen/cim_pb.ts";
import { until } from "../../support/until.ts";
import { StillClock } from "./clock.ts";
import { goodbyeFrame, Scripted, welcome } from "./scripted.ts";

interface Opened {
  connection: Promise<Connection>;
  frames: Frame[];
  ended: Promise<ConnectionEnd>;
  clock: StillClock;
  stop: AbortController;
}

function open(server: Pick<Scripted, "address">, dial: Dial = tcp): Opened {
  const clock = new StillClock();
  const stop = new AbortController();
  const frames: Frame[] = [];
  const { promise: ended, resolve: onEnd } = Promise.withResolvers<ConnectionEnd>();
  const connection = openConnection({
    dial,
    clock,
    server: server.address,
    token: "the token",
    client: "a test",
    signal: stop.signal,
    onFrame: (frame) => frames.push(frame),
    onEnd,
  });
  return { connection, frames, ended, clock, stop };
}

function end({ reason, message, advice, afterMs }: ConnectionEnd) {
  return { reason, message, advice, afterMs };
}

async function refusal(opened: Opened) {
  return opened.connection.then(
    () => "opened",
    (error: ConnectionEnd) => end(error),
  );
}

describe("opening", () => {
  test("says who it is with a token, and takes the welcome", async () => {
    using server = new Scripted((_, say) => say(welcome(1234)));
    const { connection, stop } = open(server);
    const { heartbeatMs } = (await connection).welcome;
    stop.abort();
    expect([heartbeatMs, server.heard.map(({ cmd, body }) => [cmd, body.value])]).toEqual([
      1234,
      [[Command.LOGIN, expect.objectContaining({ token: "the token", client: "a test" })]],
    ]);
  });

  test("ends with the goodbye that comes instead, and what it advises", async () => {
    using server = new Scripted((_, say) => say(goodbyeFrame("wrong_server", 7)));
    expect(await refusal(open(server))).toEqual({
      reason: "wrong_server",
      message: "the token is for another server",
      advice: "login",
      afterMs: 7,
    });
  });

  test("to a reason of a newer server is to come back", async () => {
    using server = new Scripted((_, say) => say(goodbyeFrame("full_moon")));
    expect(await refusal(open(server))).toMatchObject({ reason: "full_moon", advice: "reconnect" });
  });

  test("ends when the server closes, is not there, or says nothing for 10 s", async () => {
    using closing = new Scripted((_, __, end) => end());
    using silent = new Scripted(() => {});
    const patient = open(silent);
    const waiting = refusal(patient);
    await until("the login is heard", () => silent.heard.length === 1);
    patient.clock.pass(10_000);
    const gone = { address: { ...silent.address, port: 1 } };
    expect([await refusal(open(closing)), await refusal(open(gone)), await waiting]).toMatchObject([
      { reason: "lost", message: "the server closed the connection" },
      { reason: "lost", message: expect.stringContaining("127.0.0.1:1: ") },
      { reason: "lost", message: `no welcome from 127.0.0.1:${silent.address.port} in 10000 ms` },
    ]);
  });

  test("is called off by the signal, also while the network hangs", async () => {
    const opened = open(
      { address: { host: "x", port: 1, httpPort: 1, tls: false, webSocketUrl: "" } },
      (_, __, signal) => {
        const { promise, reject } = Promise.withResolvers<never>();
        signal.addEventListener("abort", () => reject(new Error("given up")));
        return promise;
      },
    );
    opened.stop.abort();
    expect(await refusal(opened)).toMatchObject({ reason: "lost", message: "called off" });
  });
});

describe("an open connection", () => {
  test("hands on frames cut anywhere, and keeps signs of life to itself", async () => {
    const lagging = encodeFrame({
      cmd: Command.CONTROL,
      body: { case: "lagging", value: { conversations: ["all"] } },
    });
    using server = new Scripted((frame, say) => {
      if (frame.cmd === Command.LOGIN) say(welcome());
      else
        for (const byte of [...lagging, ...encodeFrame({ cmd: Command.PING, text: "pong" })])
          say(Uint8Array.of(byte));
    });
    const { connection, frames, stop } = open(server);
    (await connection).write({ cmd: Command.PING });
    await until("the frame is there", () => frames.length > 0);
    stop.abort();
    expect(frames.map(({ body }) => body.case)).toEqual(["lagging"]);
  });

  test("pings after each heartbeat in which nothing was written", async () => {
    using server = new Scripted((frame, say) =>
      say(frame.cmd === Command.LOGIN ? welcome(1000) : { cmd: Command.PING }),
    );
    const { connection, clock, stop } = open(server);
    await connection;
    for (let beat = 1; beat <= 3; beat++) {
      clock.pass(1000);
      await until("the ping is heard", () => server.heard.length === 1 + beat);
    }
    stop.abort();
    expect(server.heard.map(({ cmd }) => cmd)).toEqual([
      Command.LOGIN,
      Command.PING,
      Command.PING,
      Command.PING,
    ]);
  });

  test("ends when nothing is heard for two heartbeats", async () => {
    using server = new Scripted((frame, say) => frame.cmd === Command.LOGIN && say(welcome(1000)));
    const { connection, clock, ended } = open(server);
    await connection;
    clock.pass(2000);
    expect(end(await ended)).toMatchObject({
      reason: "lost",
      message: "nothing was heard from the server for 2000 ms",
    });
  });

  test("ends with the goodbye, once, and nothing is heard after it", async () => {
    using server = new Scripted((_, say, close) => {
      say(welcome());
      say(goodbyeFrame("shutdown", 250));
      say({ cmd: Command.CONTROL, body: { case: "lagging", value: {} } });
      close();
    });
    const { connection, frames, ended } = open(server);
    await connection;
    expect([end(await ended), frames]).toEqual([
      { reason: "shutdown", message: "the server is shutting down", advice: "reconnect", afterMs: 250 },
      [],
    ]);
  });

  test.each([
    ["a frame over the limit", Uint8Array.of(0xff, 0xff, 0xff, 0x7f), "frame of 16383 or more bytes"],
    ["what is no frame", Uint8Array.of(2, 0xff, 0xff), "not a frame"],
  ])("ends at %s", async (_, bytes) => {
    using server = new Scripted((_, say) => {
      say(welcome());
      say(bytes);
    });
    const { connection, ended } = open(server);
    await connection.catch(() => {});
    expect(end(await ended).message).toStartWith("the server sent what cannot be read: ");
  });

  test("that is given up sends what was written, and is silent", async () => {
    using server = new Scripted((frame, say) => frame.cmd === Command.LOGIN && say(welcome()));
    const { connection, ended, stop } = open(server);
    const opened = await connection;
    opened.write({ cmd: Command.CONTROL, body: { case: "ack", value: {} } });
    stop.abort();
    opened.write({ cmd: Command.PING });
    await until("what was written is heard", () => server.heard.length === 2);
    const ending = await Promise.race([ended, Promise.resolve("silent")]);
    expect([ending, server.heard.map(({ body }) => body.case)]).toEqual(["silent", ["login", "ack"]]);
  });
});
