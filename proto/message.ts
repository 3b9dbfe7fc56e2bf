/** Messages are encoded once and then only passed on: here is all that is done to their bytes. */
import { fromBinary } from "@bufbuild/protobuf";
import { delimit, varintSize, writeVarint } from "./frame.ts";
import { Command, type Message, MessageSchema } from "./gen/cim_pb.ts";
import { WireWriter } from "./wire.ts";

const SEQ_TAG = 15 << 3; // Message.seq, a varint
const CMD_TAG = 3 << 3; // Frame.cmd, a varint
const MESSAGE_TAG = (19 << 3) | 2; // Frame.message, length-delimited: two bytes as a varint

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
  const head = 2 + varintSize(MESSAGE_TAG) + varintSize(message.length);
  const frame = new Uint8Array(head + message.length);
  frame[0] = CMD_TAG;
  frame[1] = Command.MESSAGE;
  const at = writeVarint(frame, writeVarint(frame, 2, MESSAGE_TAG), message.length);
  frame.set(message, at);
  return delimit(frame);
}
