/** What the account said and heard on this machine: a file of JSON lines, and the one before it. */
import { appendFileSync, existsSync, readFileSync, renameSync, statSync } from "node:fs";
import type { Person, Said } from "./events.ts";
import { makeDirectory } from "./files.ts";

/** A file that reaches this size becomes the one before; what was before is gone. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_FOUND = 50;

export class History {
  readonly file: string;
  readonly #maxBytes: number;
  #bytes: number;

  constructor(file: string, maxBytes: number = MAX_FILE_BYTES) {
    this.file = file;
    this.#maxBytes = maxBytes;
    makeDirectory(file);
    this.#bytes = existsSync(file) ? statSync(file).size : 0;
  }

  add(said: Said): void {
    const line = `${JSON.stringify(said)}\n`;
    const bytes = Buffer.byteLength(line);
    if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) {
      renameSync(this.file, this.#older);
      this.#bytes = 0;
    }
    appendFileSync(this.file, line, { mode: 0o600 });
    this.#bytes += bytes;
  }

  /** What has the keyword in its text or its sender's name, whatever the case; the newest of it, oldest first. */
  search(keyword: string): { said: Said[]; total: number } {
    const wanted = fold(keyword);
    const found = this.#all().filter(
      ({ text = "", from }) => fold(text).includes(wanted) || fold(from.userName).includes(wanted),
    );
    return { said: found.slice(-MAX_FOUND), total: found.length };
  }

  /** Who said something, or was told something by name. */
  *people(): Generator<Person, void, void> {
    for (const { from, to } of this.#all()) {
      yield from;
      if (to) yield to;
    }
  }

  #all(): Said[] {
    return [...read(this.#older), ...read(this.file)];
  }

  get #older(): string {
    return `${this.file}.1`;
  }
}

function read(file: string): Said[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8").split("\n").flatMap(parse);
}

// A line that was being written when the machine went down is no reason to find nothing.
function parse(line: string): Said[] {
  try {
    const said = JSON.parse(line) as Said;
    return typeof said.from.userName === "string" ? [said] : [];
  } catch {
    return [];
  }
}

function fold(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}
