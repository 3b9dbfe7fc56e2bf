/** A message as it lies in Redis: when it was accepted, whose retry it would be, and the encoded message without seq. */
import { withSeq } from "../../proto/message.ts";
import type { Draft } from "./log.ts";

const NUMBER_BYTES = 4;
const AT_BYTES = 8;
const HEAD_BYTES = AT_BYTES + 2;
const MAX_BYTES_A_UNIT = 3;
/** Around a draft: its length, its head, and its sender's id. Beyond a record, two numbers for each at the most. */
const AROUND_BYTES = 3 * NUMBER_BYTES + HEAD_BYTES + 17;

/**
 * Records and how many of them follow, one after another: numbers in four bytes, each record behind its length. A record
 * is `at` as a big-endian double, the retry's name behind its length in two bytes, and the message: Lua reads it with
 * struct.unpack('>dH').
 */
export class Packed {
  readonly #out: Buffer;
  #at = 0;

  /** @param drafts those that will be put in, each once; and before each, or for all of some, two numbers */
  constructor(drafts: readonly Draft[]) {
    let room = 0;
    for (const { messageId, bytes } of drafts)
      room += AROUND_BYTES + messageId.length * MAX_BYTES_A_UNIT + bytes.length;
    this.#out = Buffer.allocUnsafe(room);
  }

  /** What was put in so far. */
  get bytes(): Buffer {
    return this.#out.subarray(0, this.#at);
  }

  number(value: number): void {
    this.#at = this.#out.writeUInt32BE(value, this.#at);
  }

  record({ senderId, messageId, at, bytes }: Draft): void {
    const record = this.#at + NUMBER_BYTES;
    const length = this.#out.write(`${senderId}:${messageId}`, record + HEAD_BYTES);
    this.number(HEAD_BYTES + length + bytes.length);
    this.#out.writeDoubleBE(at, record);
    this.#out.writeUInt16BE(length, record + AT_BYTES);
    this.#out.set(bytes, record + HEAD_BYTES + length);
    this.#at = record + HEAD_BYTES + length + bytes.length;
  }
}

/** The encoded message, with its place in the conversation. */
export function messageOf(record: Buffer, seq: number): Uint8Array {
  return withSeq(record.subarray(HEAD_BYTES + record.readUInt16BE(AT_BYTES)), seq);
}

/** Milliseconds since 1970. */
export function acceptedAt(record: Buffer): number {
  return record.readDoubleBE();
}
