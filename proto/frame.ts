/**
 * Frames on a byte stream: each one behind its length as a base-128 varint32, both ways.
 * The framing is protobuf's own (https://protobuf.dev/programming-guides/techniques/#streaming).
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { type Frame, FrameSchema } from "./gen/cim_pb.ts";

/** The largest frame either side takes, without its length prefix. */
export const MAX_FRAME_BYTES = 64 * 1024;
/** The largest content (UTF-8 text or data) of one message; leaves 4 KiB of a frame for what stands around it. */
export const MAX_CONTENT_BYTES = 60 * 1024;
/** The longest messageId, in characters. */
export const MAX_MESSAGE_ID_LENGTH = 64;
/** No messageId begins with it: most decoders take it off, protobuf-es among them, and then it names another message. */
export const BYTE_ORDER_MARK = "\uFEFF";

/** Where a server takes WebSockets, on its HTTP port: the same bytes as over TCP, in binary messages cut anywhere. */
export const WEBSOCKET_PATH = "/socket";

const MAX_PREFIX_BYTES = 5;

/** A stream that cannot be read on: a length over the limit, or one that is no varint32. */
export class FrameError extends Error {
  override name = "FrameError";
}

/** Is shown the frame from `from` up to `end`, in bytes that are valid only during the call. */
export type Take<T> = (bytes: Uint8Array, from: number, end: number, to: T) => void;

/** Cuts a stream into frames. Keeps no more than what arrived of one frame, whatever length is announced. */
export class FrameReader {
  // Bytes of an unfinished frame; `#kept` of them count, the rest is room to grow into.
  #buffer: Uint8Array | null = null;
  #kept = 0;

  /** @param maxFrameBytes may be changed: it holds from the next frame on */
  constructor(public maxFrameBytes: number = MAX_FRAME_BYTES) {}

  /** Whether the stream stands between two frames. */
  get between(): boolean {
    return this.#kept === 0;
  }

  /**
   * Hands each complete frame to `take`: a view, valid only during the call.
   * @throws FrameError as soon as a length prefix is over the limit, before any of that frame is kept
   */
  push(chunk: Uint8Array, take: (frame: Uint8Array) => void): void {
    this.cut(chunk, viewed, take);
  }

  /**
   * As `push`, for one who takes very many: shows `take` where each frame begins and ends, since a view of a small chunk
   * costs more than reading it, and hands `to` along, so that one function does for many streams.
   */
  cut<T>(chunk: Uint8Array, take: Take<T>, to: T): void {
    const bytes = this.#kept === 0 ? chunk : this.#append(chunk);
    let at = 0;
    while (at < bytes.length) {
      const prefix = readPrefix(bytes, at, this.maxFrameBytes);
      if (prefix === null || prefix.end + prefix.size > bytes.length) break;
      at = prefix.end + prefix.size;
      take(bytes, prefix.end, at, to);
    }
    this.#keep(bytes, at);
  }

  #append(chunk: Uint8Array): Uint8Array {
    const length = this.#kept + chunk.length;
    if (this.#buffer === null || this.#buffer.length < length) {
      // Doubling keeps a frame that comes a byte at a time from being copied as often as it has bytes.
      const grown = new Uint8Array(Math.max(length, this.#kept * 2));
      if (this.#buffer) grown.set(this.#buffer.subarray(0, this.#kept));
      this.#buffer = grown;
    }
    this.#buffer.set(chunk, this.#kept);
    return this.#buffer.subarray(0, length);
  }

  #keep(bytes: Uint8Array, from: number): void {
    this.#kept = bytes.length - from;
    if (this.#kept === 0) this.#buffer = null;
    else if (from > 0 || this.#buffer === null) this.#buffer = new Uint8Array(bytes.subarray(from));
  }
}

function viewed(bytes: Uint8Array, from: number, end: number, take: (frame: Uint8Array) => void): void {
  take(bytes.subarray(from, end));
}

/** A frame with its length prefix, ready for the socket. */
export function delimit(frame: Uint8Array): Uint8Array {
  const prefixBytes = varintSize(frame.length);
  const out = new Uint8Array(prefixBytes + frame.length);
  writeVarint(out, 0, frame.length);
  out.set(frame, prefixBytes);
  return out;
}

/** Encodes a frame, with its length prefix. */
export function encodeFrame(frame: Parameters<typeof create<typeof FrameSchema>>[1] | Frame): Uint8Array {
  return delimit(toBinary(FrameSchema, create(FrameSchema, frame)));
}

export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Writes `value` (an integer from 0 to 2^53 - 1) as a varint and answers where it ends. */
export function writeVarint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest > 0x7f) {
    out[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  out[at++] = rest;
  return at;
}

function readPrefix(bytes: Uint8Array, at: number, limit: number): { size: number; end: number } | null {
  let size = 0;
  for (let i = 0; i < MAX_PREFIX_BYTES; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return null;
    size += (byte & 0x7f) * 2 ** (7 * i);
    if (size > limit)
      throw new FrameError(`frame of ${size}${byte & 0x80 ? " or more" : ""} bytes, limit ${limit}`);
    if (byte < 0x80) return { size, end: at + i + 1 };
  }
  throw new FrameError(`a frame's length of more than ${MAX_PREFIX_BYTES} bytes`);
}
