/** Messages are encoded once and then only passed on: here is all that is done to their bytes. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { delimit, varintSize, writeVarint } from "./frame.ts";
import { Command, type Message, MessageSchema } from "./gen/cim_pb.ts";

const SEQ_TAG = 15 << 3; // Message.seq, a varint
const CMD_TAG = 3 << 3; // Frame.cmd, a varint
const MESSAGE_TAG = (19 << 3) | 2; // Frame.message, length-delimited: two bytes as a varint

/** A message before it has its place in the conversation. */
export function encodeMessage(message: Parameters<typeof create<typeof MessageSchema>>[1]): Uint8Array {
  return toBinary(MessageSchema, create(MessageSchema, message));
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
