/**
 * The three functions of protobuf-es that clients use, in a twentieth of its size: it describes schemas at run time
 * and can do much more. The browser build (scripts/browser.ts) puts this file in its place, and beside it tables made
 * from the same schemas. Only what cim.proto has is known here: no maps, no lists of numbers, no groups.
 */
import { varintSize, writeVarint } from "../../proto/frame.ts";

export interface Field {
  no: number;
  name: string;
  type: "string" | "bytes" | "bool" | "uint32" | "uint64" | "int64" | "message";
  list?: true;
  /** Written also when it has its default value. */
  explicit?: true;
  /** The oneof it is part of. */
  oneof?: string;
  /** The fields of a message. */
  of?: Schema;
}

export type Schema = readonly Field[];

type Plain = Record<string, unknown>;
type Oneof = { case?: string; value?: unknown };

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;
const MAX_VARINT_BYTES = 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A message is what it is given: encoding knows the defaults. */
export function create<T extends object>(_: Schema, message: T): T {
  return message;
}

export function toBinary(schema: Schema, message: object): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const field of schema) {
    const value = fieldOf(field, message as Plain);
    if (value === undefined || (!field.explicit && isDefault(value))) continue;
    for (const one of field.list ? (value as unknown[]) : [value]) {
      const isNumber = typeof one === "number" || typeof one === "bigint" || typeof one === "boolean";
      parts.push(varint(field.no * 8 + (isNumber ? VARINT : LENGTH_DELIMITED)));
      if (isNumber) parts.push(varint(Number(one)));
      else {
        const bytes = encode(field, one);
        parts.push(varint(bytes.length), bytes);
      }
    }
  }
  return concat(parts);
}

/** @throws RangeError for what is not an encoded message */
export function fromBinary(schema: Schema, bytes: Uint8Array): Plain {
  const message: Plain = {};
  for (const field of schema) {
    if (field.oneof) message[field.oneof] = { case: undefined };
    else if (!field.explicit) message[field.name] = field.list ? [] : DEFAULTS[field.type]();
  }
  const reader = new Reader(bytes);
  while (!reader.atEnd) {
    const tag = Number(reader.varint());
    const field = schema.find(({ no }) => no === tag >>> 3);
    const raw = reader.value(tag & 7);
    if (!field) continue;
    const value = read(field, raw);
    if (field.oneof) message[field.oneof] = { case: field.name, value };
    else if (field.list) (message[field.name] as unknown[]).push(value);
    else message[field.name] = value;
  }
  return message;
}

const DEFAULTS: Record<Field["type"], () => unknown> = {
  string: () => "",
  bytes: () => new Uint8Array(),
  bool: () => false,
  uint32: () => 0,
  uint64: () => 0n,
  int64: () => 0n,
  message: () => undefined,
};

function fieldOf({ name, oneof }: Field, message: Plain): unknown {
  if (!oneof) return message[name];
  const one = message[oneof] as Oneof | undefined;
  return one?.case === name ? one.value : undefined;
}

function isDefault(value: unknown): boolean {
  return value === 0 || value === 0n || value === false || (value as { length?: number }).length === 0;
}

function encode({ of }: Field, value: unknown): Uint8Array {
  if (typeof value === "string") return encoder.encode(value);
  return of ? toBinary(of, value as object) : (value as Uint8Array);
}

function read({ type, of }: Field, raw: bigint | Uint8Array): unknown {
  if (typeof raw === "bigint") {
    if (type === "uint64") return raw;
    if (type === "bool") return raw !== 0n;
    return type === "int64" ? BigInt.asIntN(64, raw) : Number(BigInt.asUintN(32, raw));
  }
  if (type === "string") return decoder.decode(raw);
  return of ? fromBinary(of, raw) : raw;
}

class Reader {
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  get atEnd(): boolean {
    return this.#at >= this.bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError("a number that does not end");
  }

  /** A number, or a view of the bytes. */
  value(wireType: number): bigint | Uint8Array {
    if (wireType === VARINT) return this.varint();
    if (wireType === LENGTH_DELIMITED) return this.#take(Number(this.varint()));
    if (wireType === FIXED64) return this.#take(8);
    if (wireType === FIXED32) return this.#take(4);
    throw new RangeError(`wire type ${wireType}`);
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.bytes.length)
      throw new RangeError(`${length} bytes, ${this.bytes.length - this.#at} left`);
    const taken = this.bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function varint(value: number): Uint8Array {
  const out = new Uint8Array(varintSize(value));
  writeVarint(out, 0, value);
  return out;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
