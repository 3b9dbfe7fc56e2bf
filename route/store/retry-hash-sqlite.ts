/** Of a messageId, these many last characters are not hashed. */
const TAIL = 3;
const TAIL_UNIT = 128;
/** What a UTF-16 unit may have beyond that. */
const TAIL_REST = 2 ** 16 / TAIL_UNIT;

/**
 * A number for what a message has in common with its retries: 26 bits of HalfSipHash-1-3 (https://github.com/veorq/SipHash),
 * and behind them the end of the messageId, seven bits of each character; what those have beyond ASCII is hashed. So ids
 * that are counted lie side by side in an index, where others would each be on a page of its own. The key only the file
 * knows: nobody can choose messageIds of one hash, among which each would be looked for in vain.
 */
export class RetryHash {
  readonly #low: number;
  readonly #high: number;
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;

  /** @param key of 8 bytes */
  constructor(key: Uint8Array) {
    const words = new DataView(key.buffer, key.byteOffset, 8);
    this.#low = words.getInt32(0, true);
    this.#high = words.getInt32(4, true);
  }

  /** Below 2^47. Hashes the low and high half of both numbers, and two UTF-16 units to a word. */
  of(conversation: number, senderId: number, messageId: string): number {
    this.#v0 = this.#low;
    this.#v1 = this.#high;
    this.#v2 = this.#low ^ 0x6c796765;
    this.#v3 = this.#high ^ 0x74656462;
    this.#take(conversation | 0);
    this.#take((conversation / 2 ** 32) | 0);
    this.#take(senderId | 0);
    this.#take((senderId / 2 ** 32) | 0);
    const { length } = messageId;
    const hashed = Math.max(0, length - TAIL);
    for (let i = 1; i < hashed; i += 2)
      this.#take(messageId.charCodeAt(i - 1) | (messageId.charCodeAt(i) << 16));
    if (hashed & 1) this.#take(messageId.charCodeAt(hashed - 1));
    let rest = 0;
    for (let i = hashed; i < length; i++)
      rest = rest * TAIL_REST + Math.floor(messageId.charCodeAt(i) / TAIL_UNIT);
    if (rest > 0) this.#take(rest);
    this.#take(length);
    this.#v2 ^= 0xff;
    for (let i = 0; i < 3; i++) this.#take(0);
    let hash = (this.#v1 ^ this.#v3) >>> 6;
    for (let i = hashed; i < length; i++) hash = hash * TAIL_UNIT + (messageId.charCodeAt(i) % TAIL_UNIT);
    return hash;
  }

  /** One round, with a word. */
  #take(word: number): void {
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3 ^ word;
    v0 = (v0 + v1) | 0;
    v1 = rotate(v1, 5) ^ v0;
    v0 = rotate(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotate(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotate(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotate(v1, 13) ^ v2;
    v2 = rotate(v2, 16);
    this.#v0 = v0 ^ word;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
  }
}

/** Of ids that differ only in their end, the same. */
export function prefixOf(hash: number): number {
  return Math.floor(hash / TAIL_UNIT ** TAIL);
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
