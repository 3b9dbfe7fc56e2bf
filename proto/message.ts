/** Messages are encoded once and then only passed on: here is all that is done to their bytes. */
import { fromBinary } from "@bufbuild/protobuf";
import { varintSize, writeVarint } from "./frame.ts";
import { Command, type Message, MessageSchema } from "./gen/cim_pb.ts";
import { WireWriter } from "./wire.ts";

const SEQ_TAG = 15 << 3; // Message.seq, a varint
const CMD_TAG = 3 << 3; // Frame.cmd, a varint
const MESSAGE_TAG = (19 << 3) | 2; // Frame.message, length-delimited: two bytes as a varint, as all of these
const SENT_TAG = (21 << 3) | 2; // Frame.sent
const SEND_TAG_BYTES = [0xa2, 0x01] as const; // Frame.send: (20 << 3) | 2 as a varint
const MAX_LENGTH_SCALE = 128 ** 3; // a frame's length fits four bytes by far

/** What a message says. A text that came as UTF-8 may stay it. */
export type Content = { case: "text"; value: string | Uint8Array } | { case: "data"; value: Uint8Array };

/** A message before it has its place in the conversation. */
export interface Unplaced {
  conversation: string;
  messageId: string;
  senderId: number;
  senderName: string;
  /** Milliseconds since 1970. */
  at: number;
  content: Content;
}

const encoder = new TextEncoder();
const writer = new WireWriter();

/** By hand: MessageSchema says the same. */
export function encodeMessage(message: Unplaced): Uint8Array<ArrayBuffer> {
  const { content } = message;
  writer.text(1, message.conversation);
  writer.text(2, message.messageId);
  writer.number(3, message.senderId);
  writer.text(4, message.senderName);
  writer.number(5, message.at);
  const value = typeof content.value === "string" ? encoder.encode(content.value) : content.value;
  writer.element(content.case === "text" ? 6 : 7, value);
  return writer.take();
}

export function decodeMessage(bytes: Uint8Array): Message {
  return fromBinary(MessageSchema, bytes);
}

/** The encoded message with its place appended. */
export function withSeq(message: Uint8Array, seq: number): Uint8Array {
  const out = new Uint8Array(message.length + 1 + varintSize(seq));
  out.set(message);
  out[message.length] = SEQ_TAG;
  writeVarint(out, message.length + 1, seq);
  return out;
}

/** The frame that carries an encoded message to a client of ours, length prefix included: the same for every receiver. */
export function messageFrame(message: Uint8Array): Uint8Array {
  return frameAround(Command.MESSAGE, MESSAGE_TAG, message);
}

/** The frame that answers a Send with an encoded Sent. */
export function sentFrame(sent: Uint8Array): Uint8Array {
  return frameAround(Command.CONTROL, SENT_TAG, sent);
}

/** The encoded Send in a frame that holds nothing else, as a view; null for any other frame. */
export function peekSend(frame: Uint8Array): Uint8Array | null {
  if (frame[0] !== CMD_TAG || frame[1] !== Command.CONTROL) return null;
  if (frame[2] !== SEND_TAG_BYTES[0] || frame[3] !== SEND_TAG_BYTES[1]) return null;
  let length = 0;
  let at = 4;
  for (let scale = 1; at < frame.length && scale <= MAX_LENGTH_SCALE; scale *= 128) {
    const byte = frame[at++]!;
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) return at + length === frame.length ? frame.subarray(at) : null;
  }
  return null;
}

/** With its length prefix, in one piece. */
function frameAround(cmd: Command, tag: number, value: Uint8Array): Uint8Array {
  const size = 2 + varintSize(tag) + varintSize(value.length) + value.length;
  const frame = new Uint8Array(varintSize(size) + size);
  let at = writeVarint(frame, 0, size);
  frame[at++] = CMD_TAG;
  frame[at++] = cmd;
  at = writeVarint(frame, writeVarint(frame, at, tag), value.length);
  frame.set(value, at);
  return frame;
}
