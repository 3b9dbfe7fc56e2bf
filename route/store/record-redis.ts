/** A message as it lies in Redis: when it was accepted, whose retry it would be, and the encoded message without seq. */
import { withSeq } from "../../proto/message.ts";
import type { Draft } from "./log.ts";

const LENGTH_BYTES = 4;
const AT_BYTES = 8;
const HEAD_BYTES = AT_BYTES + 2;
const MAX_BYTES_A_UNIT = 3;

/**
 * Records one after another, each behind its length in four bytes. A record is `at` as a big-endian double, the retry's
 * name behind its length in two bytes, and the message: Lua reads it with struct.unpack('>dH').
 */
export function packRecords(drafts: readonly Draft[]): Buffer {
  const retries = drafts.map(({ senderId, messageId }) => `${senderId}:${messageId}`);
  let room = 0;
  for (const [i, { bytes }] of drafts.entries())
    room += LENGTH_BYTES + HEAD_BYTES + retries[i]!.length * MAX_BYTES_A_UNIT + bytes.length;
  const packed = Buffer.allocUnsafe(room);
  let start = 0;
  for (const [i, { at, bytes }] of drafts.entries()) {
    const record = start + LENGTH_BYTES;
    packed.writeDoubleBE(at, record);
    const length = packed.write(retries[i]!, record + HEAD_BYTES);
    packed.writeUInt16BE(length, record + AT_BYTES);
    packed.set(bytes, record + HEAD_BYTES + length);
    const size = HEAD_BYTES + length + bytes.length;
    packed.writeUInt32BE(size, start);
    start = record + size;
  }
  return packed.subarray(0, start);
}

/** The encoded message, with its place in the conversation. */
export function messageOf(record: Buffer, seq: number): Uint8Array {
  return withSeq(record.subarray(HEAD_BYTES + record.readUInt16BE(AT_BYTES)), seq);
}

/** Milliseconds since 1970. */
export function acceptedAt(record: Buffer): number {
  return record.readDoubleBE();
}
