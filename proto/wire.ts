/**
 * Protobuf's wire format by hand, for the few messages that stand on the way of every chat message: written and read
 * in a fraction of the time that reflection takes, and what is only passed on stays a view of what came.
 * The format: https://protobuf.dev/programming-guides/encoding/
 */

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

const FIRST_ROOM = 64 * 1024;
/** An inner message up to this long has its length in one byte, as `begin` leaves room for. */
const SHORT = 0x7f;

const encoder = new TextEncoder();
// A byte order mark at the beginning stays: an id is what it is.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes that are no message of the wire format. */
export class WireError extends Error {
  override name = "WireError";
}

/** Writes one message after another into the same room. Fields that hold their default are left out, as proto3 does. */
export class WireWriter {
  #out = new Uint8Array(FIRST_ROOM);
  #at = 0;

  /** Bytes since the last `clear`. */
  get length(): number {
    return this.#at;
  }

  /** Begins anew: what an encoder that failed left is dropped. */
  clear(): void {
    this.#at = 0;
  }

  /** What was written since the last `clear`, as a copy. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#out.slice(0, this.#at);
  }

  /** An unsigned integer below 2^53. */
  number(field: number, value: number): void {
    if (value === 0) return;
    this.#room(16);
    this.#varint((field << 3) | VARINT);
    this.#varint(value);
  }

  bytes(field: number, value: Uint8Array): void {
    if (value.length > 0) this.element(field, value);
  }

  /** One of a repeated field, or of a oneof: it is written even when it is empty. */
  element(field: number, value: Uint8Array): void {
    this.beginOf(field, value.length);
    this.raw(value);
  }

  /** Bytes that are fields already. */
  raw(value: Uint8Array): void {
    this.#room(value.length);
    this.#out.set(value, this.#at);
    this.#at += value.length;
  }

  text(field: number, value: string): void {
    if (value.length === 0) return;
    this.#room(value.length + 16);
    const start = this.#at;
    this.#varint((field << 3) | LENGTH_DELIMITED);
    this.#varint(value.length);
    // Most are short and ASCII: unit by unit is faster than a view for the encoder.
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 0x7f) {
        this.#at = start;
        this.element(field, encoder.encode(value));
        return;
      }
      this.#out[this.#at++] = unit;
    }
  }

  /** Numbers of a packed repeated field. */
  numbers(field: number, values: readonly number[]): void {
    if (values.length === 0) return;
    const inner = this.begin(field);
    for (const value of values) {
      this.#room(8);
      this.#varint(value);
    }
    this.end(inner);
  }

  /** The next `length` bytes are an inner message. */
  beginOf(field: number, length: number): void {
    this.#room(16);
    this.#varint((field << 3) | LENGTH_DELIMITED);
    this.#varint(length);
  }

  /** What follows until `end` is an inner message. */
  begin(field: number): number {
    this.#room(16);
    this.#varint((field << 3) | LENGTH_DELIMITED);
    return ++this.#at;
  }

  end(begun: number): void {
    const length = this.#at - begun;
    let size = 1;
    for (let rest = length; rest > SHORT; rest = Math.floor(rest / 128)) size++;
    if (size > 1) {
      this.#room(size);
      this.#out.copyWithin(begun + size - 1, begun, this.#at);
    }
    this.#at = begun - 1;
    this.#varint(length);
    this.#at += length;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#out[this.#at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#out[this.#at++] = rest;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#out.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#out.length, this.#at + bytes));
    grown.set(this.#out.subarray(0, this.#at));
    this.#out = grown;
  }
}

/** Reads a message field by field: `while (reader.next()) switch (reader.field)`, and then its value or `skip`. */
export class WireReader {
  field = 0;
  readonly #bytes: Uint8Array;
  #at: number;
  /** Where the message ends that is being read. */
  #end: number;
  #type = VARINT;

  /** @param to where the message ends that begins at `from` */
  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = to;
  }

  /** @throws WireError as all of these, for what is cut or not of the type asked for */
  next(): boolean {
    if (this.#at >= this.#end) return false;
    const tag = this.#varint();
    this.field = Math.floor(tag / 8);
    this.#type = tag & 7;
    if (this.field === 0) throw new WireError("a field of number 0");
    return true;
  }

  /** @throws WireError for one of 2^53 or more */
  number(): number {
    this.#expect(VARINT);
    return this.#varint();
  }

  bool(): boolean {
    return this.number() !== 0;
  }

  /** A view. */
  bytes(): Uint8Array {
    const end = this.#ahead();
    const start = this.#at;
    this.#at = end;
    return this.#bytes.subarray(start, end);
  }

  /**
   * Goes into an inner message, where `next` is false at its end; a view of it would cost more than reading it.
   * @returns what `leave` wants
   */
  enter(): number {
    const end = this.#ahead();
    const outer = this.#end;
    this.#end = end;
    return outer;
  }

  /** Goes on behind the inner message, however much of it was read. */
  leave(outer: number): void {
    this.#at = this.#end;
    this.#end = outer;
  }

  /** The number of the field that comes next, which is still to be read; 0 at the end. */
  peek(): number {
    const at = this.#at;
    const field = this.next() ? this.field : 0;
    this.#at = at;
    return field;
  }

  /** What is left of the message, as a view. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at, this.#end);
  }

  /** @throws WireError for what is no UTF-8 */
  text(): string {
    return readText(this.bytes());
  }

  /** Adds one number, or the packed ones, of a repeated field. */
  numbers(to: number[]): void {
    if (this.#type === VARINT) {
      to.push(this.#varint());
      return;
    }
    const end = this.#ahead();
    while (this.#at < end) to.push(this.#varint());
  }

  skip(): void {
    if (this.#type === VARINT) this.#skipVarint();
    else if (this.#type === LENGTH_DELIMITED) this.bytes();
    else if (this.#type === FIXED64) this.#at += 8;
    else if (this.#type === FIXED32) this.#at += 4;
    else throw new WireError(`a field of wire type ${this.#type}`);
    if (this.#at > this.#end) throw new WireError("a field that is cut");
  }

  /** Where the field ends whose bytes come next. */
  #ahead(): number {
    this.#expect(LENGTH_DELIMITED);
    const length = this.#varint();
    const end = this.#at + length;
    if (end > this.#end) throw new WireError("a field that is cut");
    return end;
  }

  #expect(type: number): void {
    if (this.#type !== type)
      throw new WireError(`field ${this.field} of wire type ${this.#type}, want ${type}`);
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      if (this.#at >= this.#end) throw new WireError("a number that is cut");
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
    }
    throw new WireError("a number of 2^53 or more");
  }

  #skipVarint(): void {
    for (let i = 0; i < 10; i++) {
      if (this.#at >= this.#end) throw new WireError("a number that is cut");
      if (this.#bytes[this.#at++]! < 0x80) return;
    }
    throw new WireError("a number of more than 10 bytes");
  }
}

/** @throws WireError for what is no UTF-8 */
export function readText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new WireError("a text that is no UTF-8", { cause: error });
  }
}
