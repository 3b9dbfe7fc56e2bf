/** The browser's codec writes and reads what protobuf-es does, on the tables made of the same schemas. */
import { describe, expect, test } from "bun:test";
import {
  create as createEs,
  type DescMessage,
  fromBinary as fromEs,
  toBinary as toEs,
} from "@bufbuild/protobuf";
import { fromBinary, type Schema, toBinary } from "../../../client/sdk/protobuf-browser.ts";
import { Command, file_cim } from "../../../proto/gen/cim_pb.ts";
import { tables } from "../../../scripts/browser.ts";

const made: Record<string, Schema> = await import(`data:text/javascript,${encodeURIComponent(tables())}`);

const BIG = BigInt(Number.MAX_SAFE_INTEGER);
const bytes = (...values: number[]) => new Uint8Array(values);

/** Messages of every kind, with the values at which encodings differ. */
const EXAMPLES: [name: string, message: Record<string, unknown>][] = [
  ["Frame", {}],
  ["Frame", { cmd: Command.PING, requestId: 7n, text: "pong" }],
  ["Frame", { cmd: Command.LOGIN, body: { case: "login", value: { token: "cim1.x.y", client: "sdk/1" } } }],
  ["Frame", { cmd: Command.CONTROL, body: { case: "sync", value: {} } }],
  [
    "Frame",
    {
      body: {
        case: "sync",
        value: { after: [{ conversation: "all" }, { conversation: "p2p:1:2", seq: 0n }], from: "x" },
      },
    },
  ],
  ["Frame", { body: { case: "ack", value: { cursors: [{ conversation: "all", seq: BIG }, {}] } } }],
  [
    "Frame",
    { body: { case: "goodbye", value: { reason: "shutdown", text: "文字 🚀", afterMs: 4294967295 } } },
  ],
  ["Frame", { body: { case: "lagging", value: { conversations: ["", "all"] } } }],
  ["Frame", { body: { case: "send", value: bytes() }, batch: ["a", "", "b"] }],
  [
    "Message",
    {
      conversation: "all",
      senderId: 128n,
      at: 1_795_000_000_000n,
      content: { case: "text", value: "" },
      seq: 300n,
    },
  ],
  ["Message", { content: { case: "data", value: bytes(0, 255, 128) }, seq: 127n }],
  ["Pages", { pages: [{ conversation: "all", head: 5n, messages: [bytes(1, 2), bytes()] }, {}], more: true }],
  ["Sent", { receipts: [{ messageId: "m1", code: "9000", seq: 1n, at: 2n }, { text: "no" }] }],
  ["Welcome", { sessionId: "s", heartbeatMs: 60_000, maxFrameBytes: 65_536, maxContentBytes: 0 }],
];

describe("what is written and read is what protobuf-es writes and reads:", () => {
  for (const [name, message] of EXAMPLES) {
    const shown = JSON.stringify(message, (_, value) => (typeof value === "bigint" ? String(value) : value));
    test(`${name} ${shown.slice(0, 80)}`, () => {
      const schema = schemaOf(name);
      const encoded = toEs(schema, createEs(schema, message));
      expect(toBinary(made[`${name}Schema`]!, message)).toEqual(encoded);
      expect(fromBinary(made[`${name}Schema`]!, encoded)).toEqual(
        plain(fromEs(schema, encoded)) as Record<string, unknown>,
      );
    });
  }
});

test("a negative number, which no client writes, is read", () => {
  const schema = schemaOf("Frame");
  const encoded = toEs(schema, createEs(schema, { requestId: -1n }));
  expect(fromBinary(made.FrameSchema!, encoded)).toMatchObject({ requestId: -1n });
});

test("fields and numbers of a newer schema are passed over", () => {
  const known = toBinary(made.CursorSchema!, { conversation: "all", seq: 3n });
  // Field 15 as a varint, 14 as eight bytes, 13 as four, 12 as a text.
  const newer = bytes(0x78, 0x01, 0x71, 1, 2, 3, 4, 5, 6, 7, 8, 0x6d, 1, 2, 3, 4, 0x62, 2, 65, 66);
  expect(fromBinary(made.CursorSchema!, bytes(...newer, ...known, ...newer))).toEqual({
    conversation: "all",
    seq: 3n,
  });
});

describe("a message that is cut is refused or is a message of its first fields, cut after byte", () => {
  const whole = toBinary(made.CursorSchema!, { conversation: "p2p:3:7", seq: 300n });
  const ends = [0, 9];
  for (let length = 0; length < whole.length; length++) {
    test(`${length}`, () => {
      const read = () => fromBinary(made.CursorSchema!, whole.subarray(0, length));
      if (ends.includes(length)) expect(read).not.toThrow();
      else expect(read).toThrow(RangeError);
    });
  }
});

test("groups, which nobody writes any more, are refused", () => {
  expect(() => fromBinary(made.CursorSchema!, bytes(0x0b))).toThrow("wire type 3");
});

function schemaOf(name: string): DescMessage {
  return file_cim.messages.find((message) => message.name === name)!;
}

/** Without what protobuf-es puts into messages for itself, and without maps, of which clients know nothing. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  const { $typeName, $unknown, properties, ...rest } = value as Record<string, unknown>;
  return Object.fromEntries(Object.entries(rest).map(([name, inner]) => [name, plain(inner)]));
}
