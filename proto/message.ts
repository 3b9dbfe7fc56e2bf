/** Messages are encoded once and then only passed on: here is all that is done to their bytes. */
import { fromBinary } from "@bufbuild/protobuf";
import { varintSize, writeVarint } from "./frame.ts";
import { Command, type Message, MessageSchema } from "./gen/cim_pb.ts";
import { WireWriter } from "./wire.ts";

const CMD_TAG = 3 << 3; // Frame.cmd, a varint
const MESSAGE_TAG = (19 << 3) | 2; // Frame.message, length-delimited: two bytes as a varint, as all of these
const SENT_TAG = (21 << 3) | 2; // Frame.sent
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

/** Message.seq, which is put behind a message once it has its place. */
export const SEQ_FIELD = 15;

/** Frame.send and Frame.ack. */
export const SEND_FIELD = 20;
export const ACK_FIELD = 22;

const SEQ_TAG = SEQ_FIELD << 3; // a varint
const encoder = new TextEncoder();
const writer = new WireWriter();

/** By hand: MessageSchema says the same. */
export function encodeMessage(message: Unplaced): Uint8Array<ArrayBuffer> {
  const { content } = message;
  writer.clear();
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
  const out = new Uint8Array(message.length + seqFieldSize(seq));
  writeWithSeq(out, 0, message, seq);
  return out;
}

/** Writes the same into something larger, and answers where it ends. */
export function writeWithSeq(out: Uint8Array, at: number, message: Uint8Array, seq: number): number {
  out.set(message, at);
  out[at + message.length] = SEQ_TAG;
  return writeVarint(out, at + message.length + 1, seq);
}

/** By how much its place makes a message longer. */
export function seqFieldSize(seq: number): number {
  return 1 + varintSize(seq);
}

/** What it was before, as a view. */
export function withoutSeq(message: Uint8Array, seq: number): Uint8Array {
  return message.subarray(0, message.length - seqFieldSize(seq));
}

/** The frame that carries an encoded message to a client of ours, length prefix included: the same for every receiver. */
export function messageFrame(message: Uint8Array): Uint8Array {
  return frameAround(Command.MESSAGE, MESSAGE_TAG, message);
}

/** The frame that answers a Send with an encoded Sent. */
export function sentFrame(sent: Uint8Array): Uint8Array {
  return frameAround(Command.CONTROL, SENT_TAG, sent);
}

/** The body of a frame of command CONTROL that holds nothing else: its field in Frame, and where its value stands. */
export interface Control {
  field: number;
  bytes: Uint8Array;
  from: number;
  end: number;
}

/** Sees it without decoding, in the frame from `from` up to `end`; null for any other frame. */
export function peekControl(bytes: Uint8Array, from: number, end: number): Control | null {
  if (end - from < 5 || bytes[from] !== CMD_TAG || bytes[from + 1] !== Command.CONTROL) return null;
  const low = bytes[from + 2]!;
  const high = bytes[from + 3]!;
  // A tag of two bytes, of a length-delimited field.
  if (low < 0x80 || high > 0x7f || (low & 7) !== 2) return null;
  let length = 0;
  let at = from + 4;
  for (let scale = 1; at < end && scale <= MAX_LENGTH_SCALE; scale *= 128) {
    const byte = bytes[at++]!;
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      const field = ((low & 0x7f) + high * 128) >> 3;
      return at + length === end ? { field, bytes, from: at, end } : null;
    }
  }
  return null;
}

const TEXT_TAG = (1 << 3) | 2; // Frame.text
const LONGEST_PING_TEXT = 0x7f - 4; // so that both lengths are of one byte

/**
 * Whether these bytes are one frame, its length prefix included, of a ping that says no more than that, with or without
 * a short text. What is laid out in another way is decoded like any other frame.
 */
export function isPing(bytes: Uint8Array): boolean {
  const size = bytes.length;
  if (size < 3 || bytes[0] !== size - 1 || bytes[size - 2] !== CMD_TAG || bytes[size - 1] !== Command.PING)
    return false;
  return size === 3 || (bytes[1] === TEXT_TAG && bytes[2] === size - 5 && size - 5 <= LONGEST_PING_TEXT);
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
