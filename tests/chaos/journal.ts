/**
 * What a crowd of clients writes down, one line of JSON at a time: what it sends, what becomes of that, what it
 * receives. A line is with the kernel before the client goes on, so it outlives a `kill -9`; whoever judges reads
 * along while the file grows.
 */
import { closeSync, openSync, readFileSync, readSync, truncateSync, writeSync } from "node:fs";

/** `id` is a messageId. */
export type Deed =
  /** Written before the message is handed to the SDK. */
  | { is: "sends"; conversation: string; id: string }
  | { is: "accepted"; conversation: string; id: string; seq: number }
  /** Refused, or without a receipt in time: it may stand in the log or not. */
  | { is: "failed"; conversation: string; id: string; why: string }
  /** `wrong`: what is not as it was sent. */
  | { is: "receives"; conversation: string; id: string; seq: number; wrong?: string }
  | { is: "token"; token: string }
  | { is: "state"; state: string }
  /** The client gave up. */
  | { is: "ended"; why: string };

export type Entry = { at: number; client: string } & Deed;

const NEWLINE = 0x0a;
const CHUNK_BYTES = 256 * 1024;

export class Journal {
  readonly #file: number;

  /** Goes on with the file that is there. A last line without its end was being written at a kill, and counts for nothing. */
  constructor(readonly path: string) {
    const whole = readJournal(path).bytes;
    this.#file = openSync(path, "a");
    truncateSync(path, whole);
  }

  write(client: string, deed: Deed): void {
    writeSync(this.#file, `${JSON.stringify({ at: Date.now(), client, ...deed })}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** All whole lines, and how many bytes they are; none of a file that is not there. */
export function readJournal(path: string): { entries: Entry[]; bytes: number } {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch {
    return { entries: [], bytes: 0 };
  }
  const bytes = content.lastIndexOf(NEWLINE) + 1;
  return { entries: parse(content.subarray(0, bytes)), bytes };
}

/** Reads a journal as it grows. */
export class JournalReader {
  #offset = 0;
  readonly #chunk = Buffer.allocUnsafe(CHUNK_BYTES);

  constructor(readonly path: string) {}

  /** Every whole line that was written since the last call. */
  *read(): Generator<Entry, void, void> {
    const file = open(this.path);
    if (file === null) return;
    try {
      for (;;) {
        const count = readSync(file, this.#chunk, 0, CHUNK_BYTES, this.#offset);
        const whole = this.#chunk.subarray(0, count).lastIndexOf(NEWLINE) + 1;
        if (whole === 0) return;
        this.#offset += whole;
        yield* parse(this.#chunk.subarray(0, whole));
      }
    } finally {
      closeSync(file);
    }
  }
}

function open(path: string): number | null {
  try {
    return openSync(path, "r");
  } catch {
    return null;
  }
}

function parse(lines: Buffer): Entry[] {
  const text = lines.toString();
  return text === ""
    ? []
    : text
        .slice(0, -1)
        .split("\n")
        .map((line) => JSON.parse(line) as Entry);
}
