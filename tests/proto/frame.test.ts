import { describe, expect, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import {
  delimit,
  encodeFrame,
  FrameError,
  FrameReader,
  MAX_FRAME_BYTES,
  varintSize,
  writeVarint,
} from "../../proto/frame.ts";
import { Command, FrameSchema } from "../../proto/gen/cim_pb.ts";

/** Frames whose length prefixes are one, two and three bytes long. */
const FRAMES = [bytes(1), bytes(127), bytes(128), bytes(300), bytes(17_000)];
const STREAM = Buffer.concat(FRAMES.map(delimit));
/** Where a frame or its length begins or ends, and what is around it. */
const CUTS = cutsOf(FRAMES);

describe("a stream cut in two", () => {
  for (const cut of CUTS) {
    test(`at byte ${cut} gives the same frames`, () => {
      expect(read([STREAM.subarray(0, cut), STREAM.subarray(cut)])).toEqual(FRAMES);
    });
  }
});

test("a short stream cut anywhere, in two or in three, gives the same frames", () => {
  const frames = [bytes(3), bytes(0), bytes(130)];
  const stream = Buffer.concat(frames.map(delimit));
  for (let a = 0; a <= stream.length; a++) {
    for (let b = a; b <= stream.length; b++) {
      const parts = [stream.subarray(0, a), stream.subarray(a, b), stream.subarray(b)];
      expect([a, b, ...read(parts)]).toEqual([a, b, ...frames]);
    }
  }
});

test("a stream that comes one byte at a time gives the same frames", () => {
  expect(read(Array.from(STREAM, (byte) => Uint8Array.of(byte)))).toEqual(FRAMES);
});

test("bytes that are kept for later are a copy, also of a Buffer that is used again", () => {
  const reader = new FrameReader();
  const frames: Uint8Array[] = [];
  const chunk = Buffer.from(delimit(bytes(10)));
  reader.push(chunk.subarray(0, 5), (frame) => frames.push(frame.slice()));
  const rest = Buffer.from(chunk.subarray(5));
  chunk.fill(0);
  reader.push(rest, (frame) => frames.push(frame.slice()));
  expect(frames).toEqual([bytes(10)]);
});

describe("a length", () => {
  test("of exactly the limit is taken", () => {
    expect(read([delimit(bytes(MAX_FRAME_BYTES))])).toEqual([bytes(MAX_FRAME_BYTES)]);
  });

  test("of the limit and one byte is refused from the prefix alone", () => {
    expect(() => read([prefix(MAX_FRAME_BYTES + 1)])).toThrow(
      new FrameError("frame of 65537 bytes, limit 65536"),
    );
  });

  test("over the limit is refused as soon as that is certain, whatever would follow", () => {
    expect(() => read([prefix(2 ** 28 - 1).subarray(0, 3)])).toThrow(FrameError);
    expect(() => read([Uint8Array.of(0xff, 0xff, 0xff)])).toThrow(
      new FrameError("frame of 2097151 or more bytes, limit 65536"),
    );
  });

  test("that never ends is refused", () => {
    expect(() => read([new Uint8Array(64).fill(0x80)])).toThrow(
      new FrameError("a frame's length of more than 5 bytes"),
    );
    expect(() => read(Array.from({ length: 6 }, () => Uint8Array.of(0x80)))).toThrow(FrameError);
  });

  test("of zero is an empty frame", () => {
    expect(read([Uint8Array.of(0, 0)])).toEqual([bytes(0), bytes(0)]);
  });
});

test("frames before a refused length are handed on", () => {
  const frames: Uint8Array[] = [];
  const stream = Buffer.concat([delimit(bytes(2)), prefix(MAX_FRAME_BYTES + 1)]);
  expect(() => new FrameReader().push(stream, (frame) => frames.push(frame.slice()))).toThrow(FrameError);
  expect(frames).toEqual([bytes(2)]);
});

test("a frame is these bytes", () => {
  const hex = (frame: Parameters<typeof encodeFrame>[0]) => encodeFrame(frame).toHex();
  expect({
    v2Login: hex({ text: "bob", requestId: 7n }),
    ping: hex({ text: "ping", requestId: 7n, cmd: Command.PING }),
    login: hex({ body: { case: "login", value: { token: "cim1.x.y", client: "sdk/1" } } }),
    ack: hex({
      cmd: Command.CONTROL,
      body: { case: "ack", value: { cursors: [{ conversation: "p2p:3:7", seq: 300n }] } },
    }),
    syncEverything: hex({ cmd: Command.CONTROL, body: { case: "sync", value: {} } }),
  }).toEqual({
    v2Login: "070a03626f621007",
    ping: "0a0a0470696e6710071802",
    login: "148201110a0863696d312e782e79120573646b2f31",
    ack: "131810b2010e0a0c0a077032703a333a3710ac02",
    syncEverything: "051810ba0100",
  });
});

test("a frame with fields nobody knows yet is read, and they are skipped", () => {
  const unknown = Buffer.concat([Buffer.from("1802", "hex"), Buffer.from("d2060161", "hex")]);
  const { cmd, body } = fromBinary(FrameSchema, unknown);
  expect([cmd, body.case]).toEqual([Command.PING, undefined]);
});

test("a varint is as long as it says, at each of its limits", () => {
  const limits = [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 2 ** 28 - 1, 2 ** 28, 2 ** 53 - 1];
  const out = new Uint8Array(10);
  expect(limits.map((value) => [varintSize(value), writeVarint(out, 0, value)])).toEqual(
    [1, 1, 2, 2, 3, 3, 4, 4, 5, 8].map((size) => [size, size]),
  );
});

function bytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i * 31);
}

function prefix(length: number): Uint8Array {
  const out = new Uint8Array(varintSize(length));
  writeVarint(out, 0, length);
  return out;
}

function read(chunks: Uint8Array[]): Uint8Array[] {
  const reader = new FrameReader();
  const frames: Uint8Array[] = [];
  for (const chunk of chunks) reader.push(chunk, (frame) => frames.push(new Uint8Array(frame)));
  return frames;
}

function cutsOf(frames: Uint8Array[]): number[] {
  const cuts = new Set<number>();
  let at = 0;
  for (const frame of frames) {
    const whole = delimit(frame).length;
    for (const edge of [at, at + whole - frame.length, at + whole])
      for (const cut of [edge - 2, edge - 1, edge, edge + 1, edge + 2])
        if (cut >= 0 && cut <= STREAM.length) cuts.add(cut);
    if (whole < 200) for (let cut = at; cut < at + whole; cut++) cuts.add(cut);
    at += whole;
  }
  return [...cuts].sort((a, b) => a - b);
}
