/**
 * CIM v2's TCP wire, coded by hand from its description: each frame behind its length as a varint32, one protobuf
 * message type for both directions. Shares no code with the product, so that a mistake there cannot hide here.
 */
export const V2_COMMAND = { LOGIN_REQUEST: 0, MESSAGE: 1, PING: 2, OFFLINE: 3 } as const;

export interface V2Frame {
  reqMsg: string;
  requestId: number;
  cmd: number;
  properties: Record<string, string>;
  batchReqMsg: string[];
  /** Numbers of fields that CIM v2 does not have. */
  unknown: number[];
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A frame with its length before it, fields with their default value left out as proto3 does. */
export function encodeV2(frame: Partial<Omit<V2Frame, "unknown">>): Uint8Array {
  const out: number[] = [];
  if (frame.reqMsg) field(out, 1, text(frame.reqMsg));
  if (frame.requestId) out.push(tag(2, VARINT), ...varint(BigInt(frame.requestId)));
  if (frame.cmd) out.push(tag(3, VARINT), ...varint(BigInt(frame.cmd)));
  for (const [key, value] of Object.entries(frame.properties ?? {})) {
    const entry: number[] = [];
    field(entry, 1, text(key));
    field(entry, 2, text(value));
    field(out, 4, entry);
  }
  for (const item of frame.batchReqMsg ?? []) field(out, 5, text(item));
  return Uint8Array.from([...varint(BigInt(out.length)), ...out]);
}

/** The whole frames at the start of `bytes`, and what is left of it. */
export function cutV2(bytes: Uint8Array): { frames: V2Frame[]; rest: Uint8Array } {
  const frames: V2Frame[] = [];
  let at = 0;
  for (;;) {
    const length = readVarint(bytes, at);
    if (length === null || length.end + Number(length.value) > bytes.length) break;
    at = length.end + Number(length.value);
    frames.push(decodeV2(bytes.subarray(length.end, at)));
  }
  return { frames, rest: bytes.slice(at) };
}

export function decodeV2(bytes: Uint8Array): V2Frame {
  const frame: V2Frame = { reqMsg: "", requestId: 0, cmd: 0, properties: {}, batchReqMsg: [], unknown: [] };
  for (const { number, value } of fields(bytes)) {
    if (number === 1) frame.reqMsg = decoder.decode(asBytes(value));
    else if (number === 2) frame.requestId = Number(BigInt.asIntN(64, asNumber(value)));
    else if (number === 3) frame.cmd = Number(asNumber(value));
    else if (number === 4) {
      const entry = fields(asBytes(value));
      const part = (n: number) => decoder.decode(asBytes(entry.find((f) => f.number === n)?.value ?? NONE));
      frame.properties[part(1)] = part(2);
    } else if (number === 5) frame.batchReqMsg.push(decoder.decode(asBytes(value)));
    else frame.unknown.push(number);
  }
  return frame;
}

const NONE = new Uint8Array();

function fields(bytes: Uint8Array): { number: number; value: bigint | Uint8Array }[] {
  const found: { number: number; value: bigint | Uint8Array }[] = [];
  let at = 0;
  while (at < bytes.length) {
    const key = need(readVarint(bytes, at));
    const wireType = Number(key.value & 7n);
    const number = Number(key.value >> 3n);
    at = key.end;
    if (wireType === VARINT) {
      const { value, end } = need(readVarint(bytes, at));
      found.push({ number, value });
      at = end;
    } else {
      const length =
        wireType === BYTES ? need(readVarint(bytes, at)) : { value: fixedSize(wireType), end: at };
      const end = length.end + Number(length.value);
      if (end > bytes.length) throw new Error(`field ${number} ends at ${end} of ${bytes.length} bytes`);
      found.push({ number, value: bytes.subarray(length.end, end) });
      at = end;
    }
  }
  return found;
}

function fixedSize(wireType: number): bigint {
  if (wireType === FIXED64) return 8n;
  if (wireType === FIXED32) return 4n;
  throw new Error(`wire type ${wireType}`);
}

function readVarint(bytes: Uint8Array, at: number): { value: bigint; end: number } | null {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return null;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value, end: at + i + 1 };
  }
  throw new Error(`a varint of more than 10 bytes at ${at}`);
}

function need<T>(value: T | null): T {
  if (value === null) throw new Error("a field is cut off");
  return value;
}

function asBytes(value: bigint | Uint8Array): Uint8Array {
  if (typeof value === "bigint") throw new Error("a number where bytes belong");
  return value;
}

function asNumber(value: bigint | Uint8Array): bigint {
  if (typeof value !== "bigint") throw new Error("bytes where a number belongs");
  return value;
}

function field(out: number[], number: number, bytes: ArrayLike<number>): void {
  out.push(tag(number, BYTES), ...varint(BigInt(bytes.length)));
  for (let i = 0; i < bytes.length; i++) out.push(bytes[i]!);
}

function tag(number: number, wireType: number): number {
  return (number << 3) | wireType;
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

function text(value: string): Uint8Array {
  return encoder.encode(value);
}
