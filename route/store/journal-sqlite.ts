/** A batch of messages as one row of the journal: each message's fields as varints and length-prefixed bytes. */
import { writeVarint } from "../../proto/frame.ts";

/** A message in the journal: where it stands, whose retry would be it, and the bytes that are kept. */
export interface JournalEntry {
  /** The conversation's row. */
  conversation: number;
  seq: number;
  senderId: number;
  messageId: string;
  at: number;
  bytes: Uint8Array;
}

/** Four numbers below 2^53 and two lengths. */
const MAX_NUMBERS_BYTES = 4 * 8 + 2 * 5;
const MAX_BYTES_A_UNIT = 3;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeJournal(entries: readonly JournalEntry[]): Uint8Array {
  let room = 0;
  for (const { messageId, bytes } of entries)
    room += MAX_NUMBERS_BYTES + messageId.length * MAX_BYTES_A_UNIT + bytes.length;
  const out = new Uint8Array(room);
  let at = 0;
  for (const entry of entries) {
    at = writeVarint(out, at, entry.conversation);
    at = writeVarint(out, at, entry.seq);
    at = writeVarint(out, at, entry.senderId);
    at = writeVarint(out, at, entry.at);
    at = writeText(out, at, entry.messageId);
    at = writeBytes(out, at, entry.bytes);
  }
  return out.subarray(0, at);
}

export function decodeJournal(row: Uint8Array): JournalEntry[] {
  const entries: JournalEntry[] = [];
  let at = 0;
  const number = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = row[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  const bytes = () => {
    const end = number() + at;
    const taken = row.slice(at, end);
    at = end;
    return taken;
  };
  while (at < row.length) {
    const [conversation, seq, senderId, time] = [number(), number(), number(), number()];
    entries.push({
      conversation,
      seq,
      senderId,
      at: time,
      messageId: decoder.decode(bytes()),
      bytes: bytes(),
    });
  }
  return entries;
}

// Most are short and ASCII: copied unit by unit they cost a fraction of what a view for the encoder does.
function writeText(out: Uint8Array, start: number, text: string): number {
  let at = writeVarint(out, start, text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return writeBytes(out, start, encoder.encode(text));
    out[at++] = unit;
  }
  return at;
}

function writeBytes(out: Uint8Array, start: number, bytes: Uint8Array): number {
  const at = writeVarint(out, start, bytes.length);
  out.set(bytes, at);
  return at + bytes.length;
}
