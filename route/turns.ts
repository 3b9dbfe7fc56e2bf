/** A few of many at once: a crowd stands in line, and everything else goes on in between. */
import { CimError } from "../proto/status.ts";

export interface TurnsOptions {
  /** What waits in line, in words, for who finds it too long. */
  what: string;
  atOnce: number;
  /** How many may stand in line. */
  waiting: number;
}

export class Turns {
  readonly #options: TurnsOptions;
  #underWay = 0;
  #line: (() => void)[] = [];
  /** Whose turn it is next; who stood before is only taken off now and then. */
  #next = 0;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Does `work` when it is its turn. @throws CimError FALLBACK at once where the line is too long */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#underWay < this.#options.atOnce) this.#underWay++;
    else await this.#stand();
    try {
      return await work();
    } finally {
      // In a later turn of the event loop: what has arrived meanwhile is heard first.
      setTimeout(() => this.#pass());
    }
  }

  #stand(): Promise<void> {
    const { what, waiting } = this.#options;
    if (this.#line.length - this.#next >= waiting) {
      throw new CimError("FALLBACK", `${waiting} ${what} wait already: try again in a few seconds`);
    }
    return new Promise((resolve) => this.#line.push(resolve));
  }

  #pass(): void {
    const next = this.#line[this.#next++];
    if (next) {
      next();
      return;
    }
    this.#underWay--;
    this.#line = [];
    this.#next = 0;
  }
}
