import type { Status } from "./types.ts";

/** What is kept for a reader that does not read; the oldest goes first. */
const MAX_KEPT = 256;

interface Reader {
  kept: Status[];
  wake: () => void;
}

/** Tells each of its readers everything that happens from the moment it begins to read. */
export class StatusStream implements AsyncIterable<Status> {
  readonly #readers = new Set<Reader>();
  #ended = false;

  tell(status: Status): void {
    for (const reader of this.#readers) {
      reader.kept.push(status);
      if (reader.kept.length > MAX_KEPT) reader.kept.shift();
      reader.wake();
    }
  }

  end(): void {
    this.#ended = true;
    for (const reader of this.#readers) reader.wake();
  }

  [Symbol.asyncIterator](): AsyncGenerator<Status, void, void> {
    const reader: Reader = { kept: [], wake: () => {} };
    this.#readers.add(reader);
    return this.#read(reader);
  }

  async *#read(reader: Reader): AsyncGenerator<Status, void, void> {
    try {
      for (;;) {
        const next = reader.kept.shift();
        if (next) yield next;
        else if (this.#ended) return;
        else await new Promise<void>((resolve) => Object.assign(reader, { wake: resolve }));
      }
    } finally {
      this.#readers.delete(reader);
    }
  }
}
