/** A message as rows of the journal and of `runs` keep it: three numbers as varints, then its messageId and itself, each behind its length. */
import { writeVarint } from "../../proto/frame.ts";

/** Three numbers below 2^53 and two lengths. */
const MAX_NUMBERS_BYTES = 3 * 8 + 2 * 5;
const MAX_BYTES_A_UNIT = 3;

const encoder = new TextEncoder();
// What it reads is what was written, a byte order mark at the beginning included.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A row that does not read as what was written: the file is damaged, as where SQLite itself finds it so. */
export class DamagedRow extends Error {
  override name = "DamagedRow";
  readonly errno = 11;
  readonly code = "SQLITE_CORRUPT";
}

/** The most bytes that all of an entry but the message itself takes. */
export function maxEntryHead(messageId: string): number {
  return MAX_NUMBERS_BYTES + messageId.length * MAX_BYTES_A_UNIT;
}

/** Writes what stands before the message itself, which is `length` bytes long; answers where that begins. */
export function writeEntryHead(
  out: Uint8Array,
  start: number,
  { senderId, at, messageId }: { senderId: number; at: number; messageId: string },
  seq: number,
  length: number,
): number {
  let end = writeVarint(out, start, seq);
  end = writeVarint(out, end, senderId);
  end = writeVarint(out, end, at);
  end = writeText(out, end, messageId);
  return writeVarint(out, end, length);
}

// Most are short and ASCII: copied unit by unit they cost a fraction of what a view for the encoder does.
function writeText(out: Uint8Array, start: number, text: string): number {
  let end = writeVarint(out, start, text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) {
      const bytes = encoder.encode(text);
      end = writeVarint(out, start, bytes.length);
      out.set(bytes, end);
      return end + bytes.length;
    }
    out[end++] = unit;
  }
  return end;
}

/** Reads the entries of a row one after the other; its fields are those of the one read last. */
export class EntryReader {
  seq = 0;
  senderId = 0;
  /** When it was accepted, in ms since 1970. */
  at = 0;
  /** Where it begins in the row, where the message itself does, and where both end. */
  from = 0;
  content = 0;
  end = 0;
  #messageId = 0;
  #messageIdEnd = 0;

  constructor(readonly row: Uint8Array) {}

  get done(): boolean {
    return this.end === this.row.length;
  }

  /** Goes to the next one, unless there is none. @throws DamagedRow */
  next(): boolean {
    if (this.done) return false;
    this.from = this.end;
    this.seq = this.number();
    this.senderId = this.number();
    this.at = this.number();
    const idLength = this.number();
    this.#messageId = this.end;
    this.end += idLength;
    this.#messageIdEnd = this.end;
    const length = this.number();
    this.content = this.end;
    this.end += length;
    if (this.end > this.row.length) throw this.#damaged();
    return true;
  }

  /** Goes on to the entry of this seq; false when it is not among those that follow. @throws DamagedRow */
  find(seq: number): boolean {
    while (this.next()) if (this.seq === seq) return true;
    return false;
  }

  /** A number that stands before the next entry. @throws DamagedRow */
  number(): number {
    let value = 0;
    for (let scale = 1; this.end < this.row.length; scale *= 128) {
      const byte = this.row[this.end++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw this.#damaged();
  }

  get messageId(): string {
    return decoder.decode(this.row.subarray(this.#messageId, this.#messageIdEnd));
  }

  /** The message itself. */
  bytes(): Uint8Array {
    return this.row.slice(this.content, this.end);
  }

  #damaged(): DamagedRow {
    return new DamagedRow(`a row of messages ends after ${this.row.length} bytes, amid a message`);
  }
}
