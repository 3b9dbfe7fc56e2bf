/** What is written and read by hand is what protobuf-es writes and reads. */
import { describe, expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DeliveryWriter, decodeDownlink } from "../../proto/downlink.ts";
import { encodeFrame } from "../../proto/frame.ts";
import { AckSchema, Command, SendSchema, SentSchema, SyncSchema } from "../../proto/gen/cim_pb.ts";
import {
  DownlinkSchema,
  ReleaseSchema,
  type UplinkItem,
  UplinkReplySchema,
  UplinkSchema,
} from "../../proto/gen/link_pb.ts";
import { peekControl, SEND_FIELD, sentFrame, withSeq } from "../../proto/message.ts";
import { decodeSend, encodeSent } from "../../proto/send.ts";
import {
  type Body,
  decodeCall,
  decodeResults,
  encodeCall,
  encodeResults,
  resultOf,
} from "../../proto/uplink.ts";
import { WireError, WireReader, WireWriter } from "../../proto/wire.ts";
import { unprefixed } from "./unprefixed.ts";

const TEXTS = ["", "a", "x".repeat(127), "x".repeat(128), "张三 🙂", "é".repeat(300), "y".repeat(60_000)];
const NUMBERS = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER];
const BYTES = [0, 1, 127, 128, 60_000].map((length) => new Uint8Array(length).fill(0xee));
const utf8 = new TextEncoder();
const release = { case: "release" as const, value: create(ReleaseSchema) };

/** The body of an item, as protobuf-es knows it. */
function encoded(body: Body): UplinkItem["body"] {
  if (body.case !== "ack") return body;
  const cursors = body.value.map(({ conversation, seq }) => ({ conversation, seq: BigInt(seq) }));
  return { case: "ack", value: create(AckSchema, { cursors }) };
}

test("a Send is read, whatever its texts and data, and one without content has an empty text", () => {
  const messages = [
    ...TEXTS.map((value, i) => ({
      conversation: i % 2 ? "all" : "p2p:1:2",
      messageId: value.slice(0, 64),
      content: { case: "text" as const, value },
    })),
    ...BYTES.map((value) => ({
      conversation: "all",
      messageId: "m",
      content: { case: "data" as const, value },
    })),
  ];
  const encoded = toBinary(
    SendSchema,
    create(SendSchema, { messages: [...messages, { messageId: "bare" }] }),
  );
  expect(decodeSend(encoded)).toEqual([
    ...messages.map(({ content, ...message }) => ({
      ...message,
      content:
        content.case === "text" ? { case: "text" as const, value: utf8.encode(content.value) } : content,
    })),
    { conversation: "", messageId: "bare", content: { case: "text", value: new Uint8Array() } },
  ]);
});

test("what an encoder that failed had written is not part of what the next one writes", () => {
  const receipt = { messageId: "m", code: "9000", text: "", seq: 1, at: 1 };
  const alone = encodeSent([receipt]);
  expect(() => encodeSent([receipt, { ...receipt, messageId: null as never }])).toThrow();
  expect(encodeSent([receipt])).toEqual(alone);
});

test("receipts are written as protobuf-es writes them", () => {
  const receipts = TEXTS.flatMap((text) =>
    NUMBERS.map((number) => ({ messageId: text.slice(0, 64), code: "9000", text, seq: number, at: number })),
  );
  const theirs = receipts.map((receipt) => ({
    ...receipt,
    seq: BigInt(receipt.seq),
    at: BigInt(receipt.at),
  }));
  expect(encodeSent(receipts)).toEqual(toBinary(SentSchema, create(SentSchema, { receipts: theirs })));
});

// A frame of 32,500 empty messages held up the route, and all of its users, for the tenth of a second, each time.
test("a Send of more messages than a client sends together is refused", () => {
  const of = (count: number) =>
    toBinary(SendSchema, create(SendSchema, { messages: Array.from({ length: count }, () => ({})) }));
  expect(decodeSend(of(256)).length).toBe(256);
  expect(() => decodeSend(of(257))).toThrow(new WireError("more than 256 messages in one send"));
});

// A device of such a name was another one for the route when its server spoke of it.
test("a text that begins with a byte order mark is read as it was written", () => {
  const items = [{ userId: 1, userName: "", sessionId: "", device: "\uFEFFphone", body: release }];
  expect(decodeCall(encodeCall({ server: "", bootId: "", items })).items[0]!.device).toBe("\uFEFFphone");
});

test("a call of a server is written and read", () => {
  const bodies = [
    { case: "send" as const, value: new Uint8Array(300).fill(9) },
    { case: "ack" as const, value: NUMBERS.map((seq) => ({ conversation: "all", seq })) },
    { case: "sync" as const, value: create(SyncSchema, { from: "p2p:1:2" }) },
  ];
  const items = bodies.flatMap((body) =>
    NUMBERS.map((userId, i) => ({
      userId,
      userName: TEXTS[i % TEXTS.length]!,
      sessionId: "s",
      device: "",
      body,
    })),
  );
  const call = { server: "h:1:2", bootId: "b", items };
  const theirs = create(UplinkSchema, {
    ...call,
    items: items.map(({ body, ...item }) => ({ ...item, userId: BigInt(item.userId), body: encoded(body) })),
  });
  expect([encodeCall(call), decodeCall(toBinary(UplinkSchema, theirs))]).toEqual([
    toBinary(UplinkSchema, theirs),
    call,
  ]);
});

test("results are written and read", () => {
  const results = [
    resultOf({ code: "9000" }),
    resultOf({ code: "8000", text: "没有回答", goodbye: "kicked" }),
    resultOf({ code: "9000", sent: BYTES[4]!, sessionId: "s", device: "phone" }),
    resultOf({ code: "9000", pages: BYTES[3]! }),
  ];
  const theirs = toBinary(UplinkReplySchema, create(UplinkReplySchema, { results }));
  expect([encodeResults(results), decodeResults(theirs)]).toEqual([theirs, results]);
});

test("deliveries are written and read, one after another, among what else a Downlink holds", () => {
  const deliveries = NUMBERS.map((number, i) => ({
    message: BYTES[i % BYTES.length]!,
    conversation: "p2p:1:2",
    seq: Math.max(1, number),
    everyone: i % 2 === 0,
    userIds: NUMBERS.slice(0, i),
    exceptUserId: number,
    exceptSessionId: TEXTS[i % 3]!,
  }));
  const placed = deliveries.map((value) => ({ ...value, message: withSeq(value.message, value.seq) }));
  const theirs = placed.map((value) => ({
    body: {
      case: "delivery" as const,
      value: {
        ...value,
        seq: BigInt(value.seq),
        userIds: value.userIds.map(BigInt),
        exceptUserId: BigInt(value.exceptUserId),
      },
    },
  }));
  const close = { body: { case: "close" as const, value: { sessionId: "s", goodbye: "kicked" } } };
  const downlink = toBinary(DownlinkSchema, create(DownlinkSchema, { items: [...theirs, close] }));
  const writer = new DeliveryWriter();
  for (const delivery of deliveries) writer.add(delivery);
  expect(writer.length).toBe(writer.take().length);
  const ours = Buffer.concat([
    writer.take(),
    toBinary(DownlinkSchema, create(DownlinkSchema, { items: [close] })),
  ]);
  expect([new Uint8Array(ours), decodeDownlink(downlink).slice(0, -1)]).toEqual([
    downlink,
    placed.map((delivery) => ({ delivery })),
  ]);
  expect(decodeDownlink(downlink).at(-1)).toMatchObject({ other: close.body });
});

test("a message is read as far as its end, whatever stands behind it, and an inner one no further than the outer", () => {
  const writer = new WireWriter();
  const inner = writer.begin(1);
  writer.number(2, 300);
  writer.number(3, 4);
  writer.end(inner);
  const bytes = writer.take();
  const reader = new WireReader(Buffer.concat([bytes, bytes]), 0, bytes.length);
  expect([reader.peek(), reader.next()]).toEqual([1, true]);
  const outer = reader.enter();
  expect([reader.next(), reader.field, reader.number()]).toEqual([true, 2, 300]);
  reader.leave(outer);
  expect([reader.peek(), reader.next()]).toEqual([0, false]);
  const cut = new WireReader(bytes, 0, bytes.length - 1);
  cut.next();
  expect(() => cut.enter()).toThrow(new WireError("a field that is cut"));
});

test("a frame that is a control body alone is seen without decoding, and no other is", () => {
  for (const value of BYTES) {
    const frame = unprefixed(encodeFrame({ cmd: Command.CONTROL, body: { case: "send", value } }));
    // Also in the midst of other bytes.
    const bytes = Buffer.concat([frame, frame, frame]);
    const [from, end] = [frame.length, 2 * frame.length];
    const control = peekControl(bytes, from, end)!;
    expect([
      control.field,
      new Uint8Array(bytes.subarray(control.from, control.end)),
      sentFrame(value),
    ]).toEqual([SEND_FIELD, value, encodeFrame({ cmd: Command.CONTROL, body: { case: "sent", value } })]);
  }
  const others = [
    encodeFrame({ cmd: Command.PING }),
    encodeFrame({ cmd: Command.MESSAGE, body: { case: "message", value: BYTES[1]! } }),
    encodeFrame({ cmd: Command.CONTROL, requestId: 1n, body: { case: "send", value: BYTES[1]! } }),
  ].map(unprefixed);
  const cut = unprefixed(
    encodeFrame({ cmd: Command.CONTROL, body: { case: "send", value: BYTES[2]! } }),
  ).subarray(0, -1);
  const seen = [...others, cut, new Uint8Array()].map((frame) => peekControl(frame, 0, frame.length));
  expect(seen).toEqual([null, null, null, null, null]);
});

describe("what is no message is refused", () => {
  const writer = new WireWriter();
  writer.text(1, "abc");
  writer.number(2, 300);
  writer.bytes(3, new Uint8Array(200));
  const whole = writer.take();

  const read = (bytes: Uint8Array) => {
    const reader = new WireReader(bytes);
    while (reader.next()) reader.skip();
  };

  test("cut anywhere within a field", () => {
    const ends = new Set([0, 5, 8, whole.length]);
    for (let length = 0; length <= whole.length; length++) {
      if (ends.has(length)) expect(() => read(whole.subarray(0, length))).not.toThrow();
      else expect(() => read(whole.subarray(0, length))).toThrow(WireError);
    }
  });

  const cases: [string, number[]][] = [
    ["a field of number 0", [0x00, 0x01]],
    ["a group", [0x0b, 0x0c]],
    ["a length beyond the end", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ["a varint without an end", [0x08, ...Array<number>(11).fill(0xff)]],
  ];
  for (const [name, bytes] of cases) {
    test(name, () => expect(() => read(Uint8Array.from(bytes))).toThrow(WireError));
  }

  test("a number of 2^53 or more where one below is wanted, text where a number is wanted, and no UTF-8", () => {
    const number = new WireReader(Uint8Array.of(0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10));
    const text = new WireReader(Uint8Array.of(0x0a, 0x00));
    const broken = new WireReader(Uint8Array.of(0x0a, 0x02, 0xc3, 0x28));
    for (const reader of [number, text, broken]) reader.next();
    expect(() => number.number()).toThrow(WireError);
    expect(() => text.number()).toThrow(WireError);
    expect(() => broken.text()).toThrow(WireError);
    expect(fromBinary(SentSchema, encodeSent([])).receipts).toEqual([]);
  });
});
