/** What a server and a route say to one another for each message, by hand: link.proto says the same. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Cursor, readAck, writeAck } from "./ack.ts";
import { type Sync, SyncSchema } from "./gen/cim_pb.ts";
import {
  type Adopt,
  AdoptSchema,
  type Confirm,
  ConfirmSchema,
  type Release,
  ReleaseSchema,
} from "./gen/link_pb.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** What an UplinkItem says. A `send` is encoded, and a view of the call that brought it. */
export type Body =
  | { case: "send"; value: Uint8Array }
  | { case: "ack"; value: readonly Cursor[] }
  | { case: "confirm"; value: Confirm }
  | { case: "release"; value: Release }
  | { case: "adopt"; value: Adopt }
  | { case: "sync"; value: Sync }
  | { case: undefined; value?: undefined };

/** An UplinkItem. */
export interface Item {
  userId: number;
  userName: string;
  sessionId: string;
  device: string;
  body: Body;
}

export interface Call {
  server: string;
  bootId: string;
  items: Item[];
}

/** An UplinkResult. `sent` and `pages` are views of the answer that brought them. */
export interface Result {
  code: string;
  text: string;
  goodbye: string;
  sessionId: string;
  device: string;
  sent: Uint8Array;
  pages: Uint8Array;
}

const NOTHING = new Uint8Array();
const writer = new WireWriter();

export function encodeCall({ server, bootId, items }: Call): Uint8Array<ArrayBuffer> {
  writer.clear();
  writer.text(1, server);
  writer.text(2, bootId);
  for (const { userId, userName, sessionId, device, body } of items) {
    const item = writer.begin(3);
    writer.number(1, userId);
    writer.text(2, userName);
    writer.text(3, sessionId);
    writer.text(4, device);
    if (body.case === "send") writer.element(8, body.value);
    else if (body.case === "ack") {
      const ack = writer.begin(9);
      writeAck(writer, body.value);
      writer.end(ack);
    } else if (body.case === "confirm") writer.element(5, toBinary(ConfirmSchema, body.value));
    else if (body.case === "release") writer.element(6, toBinary(ReleaseSchema, body.value));
    else if (body.case === "adopt") writer.element(7, toBinary(AdoptSchema, body.value));
    else if (body.case === "sync") writer.element(10, toBinary(SyncSchema, body.value));
    writer.end(item);
  }
  return writer.take();
}

/** @throws Error for what is none */
export function decodeCall(bytes: Uint8Array): Call {
  const call: Call = { server: "", bootId: "", items: [] };
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) call.server = reader.text();
    else if (reader.field === 2) call.bootId = reader.text();
    else if (reader.field === 3) call.items.push(readItem(reader));
    else reader.skip();
  }
  return call;
}

function readItem(reader: WireReader): Item {
  const item: Item = { userId: 0, userName: "", sessionId: "", device: "", body: { case: undefined } };
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) item.userId = reader.number();
    else if (reader.field === 2) item.userName = reader.text();
    else if (reader.field === 3) item.sessionId = reader.text();
    else if (reader.field === 4) item.device = reader.text();
    else if (reader.field === 8) item.body = { case: "send", value: reader.bytes() };
    else if (reader.field === 9) item.body = readAckBody(reader);
    else if (reader.field === 5)
      item.body = { case: "confirm", value: fromBinary(ConfirmSchema, reader.bytes()) };
    else if (reader.field === 6)
      item.body = { case: "release", value: fromBinary(ReleaseSchema, reader.bytes()) };
    else if (reader.field === 7)
      item.body = { case: "adopt", value: fromBinary(AdoptSchema, reader.bytes()) };
    else if (reader.field === 10) item.body = { case: "sync", value: fromBinary(SyncSchema, reader.bytes()) };
    else reader.skip();
  }
  reader.leave(outer);
  return item;
}

function readAckBody(reader: WireReader): Body {
  const outer = reader.enter();
  const value = readAck(reader);
  reader.leave(outer);
  return { case: "ack", value };
}

/** A result with what is not given left empty. */
export function resultOf(given: Partial<Result>): Result {
  const { code = "", text = "", goodbye = "", sessionId = "", device = "" } = given;
  return {
    code,
    text,
    goodbye,
    sessionId,
    device,
    sent: given.sent ?? NOTHING,
    pages: given.pages ?? NOTHING,
  };
}

export function encodeResults(results: readonly Result[]): Uint8Array<ArrayBuffer> {
  writer.clear();
  for (const { code, text, goodbye, sessionId, device, sent, pages } of results) {
    const result = writer.begin(1);
    writer.text(1, code);
    writer.text(2, text);
    writer.text(3, goodbye);
    writer.text(4, sessionId);
    writer.text(5, device);
    writer.bytes(6, sent);
    writer.bytes(7, pages);
    writer.end(result);
  }
  return writer.take();
}

/** @throws Error for what are none */
export function decodeResults(bytes: Uint8Array): Result[] {
  const results: Result[] = [];
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) results.push(readResult(reader));
    else reader.skip();
  }
  return results;
}

function readResult(reader: WireReader): Result {
  const result = resultOf({});
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) result.code = reader.text();
    else if (reader.field === 2) result.text = reader.text();
    else if (reader.field === 3) result.goodbye = reader.text();
    else if (reader.field === 4) result.sessionId = reader.text();
    else if (reader.field === 5) result.device = reader.text();
    else if (reader.field === 6) result.sent = reader.bytes();
    else if (reader.field === 7) result.pages = reader.bytes();
    else reader.skip();
  }
  reader.leave(outer);
  return result;
}
