import { expect, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import { encodeFrame } from "../../proto/frame.ts";
import { Command, FrameSchema } from "../../proto/gen/cim_pb.ts";
import {
  decodeMessage,
  encodeMessage,
  isPing,
  messageFrame,
  withoutSeq,
  withSeq,
} from "../../proto/message.ts";
import { unprefixed } from "./unprefixed.ts";

const MESSAGE = {
  conversation: "p2p:3:7",
  messageId: "m1",
  senderId: 3,
  senderName: "al",
  at: 1_700_000_000_000,
  content: { case: "text" as const, value: "hi" },
};

test("a message loses its place again", () => {
  for (const seq of [1, 127, 128, 300, 2 ** 53 - 1])
    expect(withoutSeq(withSeq(encodeMessage(MESSAGE), seq), seq)).toEqual(encodeMessage(MESSAGE));
});

test("a message is these bytes, and its seq stands last", () => {
  const encoded = encodeMessage(MESSAGE);
  expect([encoded.toHex(), withSeq(encoded, 300).toHex()]).toEqual([
    "0a077032703a333a3712026d3118032202616c2880d095ffbc3132026869",
    "0a077032703a333a3712026d3118032202616c2880d095ffbc313202686978ac02",
  ]);
});

test("its frame is these bytes", () => {
  expect(messageFrame(withSeq(encodeMessage(MESSAGE), 300)).toHex()).toBe(
    "2618019a01210a077032703a333a3712026d3118032202616c2880d095ffbc313202686978ac02",
  );
});

test("the frame put together by hand is the one the encoder makes, for contents of any length", () => {
  for (const length of [0, 1, 90, 100, 127, 128, 16_300, 16_384, 60_000]) {
    const value = new Uint8Array(length).fill(7);
    const message = withSeq(encodeMessage({ ...MESSAGE, content: { case: "data", value } }), length + 1);
    const byEncoder = encodeFrame({ cmd: Command.MESSAGE, body: { case: "message", value: message } });
    expect([length, messageFrame(message)]).toEqual([length, byEncoder]);
  }
});

test("what was put together is read back, at both ends of what a seq can be", () => {
  for (const seq of [1, 127, 128, Number.MAX_SAFE_INTEGER]) {
    const { body } = fromBinary(FrameSchema, unprefixed(messageFrame(withSeq(encodeMessage(MESSAGE), seq))));
    expect(decodeMessage(body.value as Uint8Array)).toMatchObject({
      ...MESSAGE,
      senderId: 3n,
      at: 1_700_000_000_000n,
      seq: BigInt(seq),
    });
  }
});

test("a ping that says no more is seen without decoding, whatever its short text", () => {
  for (const text of ["", "ping", "é", "x".repeat(123)]) {
    expect([text, isPing(encodeFrame({ cmd: Command.PING, text }))]).toEqual([text, true]);
  }
});

test("anything else is not taken for such a ping: with more in it, cut, or followed by another", () => {
  const ping = encodeFrame({ cmd: Command.PING, text: "ping" });
  const others = [
    ...Array.from(ping, (_, i) => ping.subarray(0, i)),
    Buffer.concat([ping, ping]),
    Buffer.concat([ping, ping.subarray(0, 3)]),
    encodeFrame({ cmd: Command.PING, requestId: 7n }),
    encodeFrame({ cmd: Command.PING, requestId: 7n, text: "ping" }),
    encodeFrame({ cmd: Command.PING, text: "ping", batch: ["more"] }),
    encodeFrame({ cmd: Command.PING, text: "x".repeat(124) }),
    encodeFrame({ cmd: Command.MESSAGE, text: "ping" }),
    encodeFrame({ cmd: Command.CONTROL, body: { case: "ack", value: {} } }),
  ];
  expect(others.map((bytes) => isPing(bytes))).toEqual(others.map(() => false));
});
