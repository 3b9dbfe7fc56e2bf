/** A message as it lies in Redis: when it was accepted, whose retry it would be, and the encoded message without seq. */
import { withSeq } from "../../proto/message.ts";
import type { Draft } from "./log.ts";

const AT_BYTES = 8;
const HEAD_BYTES = AT_BYTES + 2;

/**
 * `at` as a big-endian double, the retry's name behind its length in two bytes, the message: Lua reads it with
 * struct.unpack('>dH').
 */
export function encodeRecord({ senderId, messageId, at, bytes }: Draft): Buffer {
  const retry = Buffer.from(`${senderId}:${messageId}`);
  const record = Buffer.allocUnsafe(HEAD_BYTES + retry.length + bytes.length);
  record.writeDoubleBE(at);
  record.writeUInt16BE(retry.length, AT_BYTES);
  record.set(retry, HEAD_BYTES);
  record.set(bytes, HEAD_BYTES + retry.length);
  return record;
}

/** The encoded message, with its place in the conversation. */
export function messageOf(record: Buffer, seq: number): Uint8Array {
  return withSeq(record.subarray(HEAD_BYTES + record.readUInt16BE(AT_BYTES)), seq);
}
