/** Messages to be sent later. They are kept in a file, so that they are sent even if the console was not running then. */
import { existsSync, readFileSync } from "node:fs";
import type { Delayed } from "./events.ts";
import { writePrivate } from "./files.ts";
import { Mistake } from "./problem.ts";

export const MAX_DELAYS = 100;
export const MAX_DELAY_SECONDS = 7 * 24 * 60 * 60;
// The longest that a timer of the runtime takes.
const MAX_TIMER_MS = 2 ** 31 - 1;
const RETRY_MS = 5 * 1000;

export interface DelaysOptions {
  /** Answers whether it is done with, accepted or refused; else it is tried again. */
  send(delayed: Delayed): Promise<boolean>;
  /** Told of a file that cannot be written while nobody waits for it. */
  failed(error: unknown): void;
}

export class Delays {
  readonly #file: string;
  readonly #options: DelaysOptions;
  // What is being sent, or waits to be tried again, until then in ms since the epoch.
  readonly #notBefore = new Map<number, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: Delayed[];
  #ended = false;

  constructor(file: string, options: DelaysOptions) {
    this.#file = file;
    this.#options = options;
    this.#waiting = read(file);
    this.#arm();
  }

  get waiting(): readonly Delayed[] {
    return this.#waiting;
  }

  /** @throws Mistake when too many wait already */
  add(delayed: Omit<Delayed, "id">): Delayed {
    if (this.#waiting.length >= MAX_DELAYS) throw new Mistake({ what: "too-many-delays", limit: MAX_DELAYS });
    const added = { ...delayed, id: 1 + Math.max(0, ...this.#waiting.map(({ id }) => id)) };
    this.#keep([...this.#waiting, added]);
    this.#arm();
    return added;
  }

  /** Calls one off. @throws Mistake when there is none of this number */
  cancel(given: string): Delayed {
    const delayed = this.#waiting.find(({ id }) => String(id) === given);
    if (!delayed) throw new Mistake({ what: "no-such-delay", given });
    this.#remove(delayed);
    return delayed;
  }

  /** Sends nothing any more in this run. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  // One timer for all, since two that are due in the same millisecond may fire in any order.
  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#ended || this.#waiting.length === 0) return;
    const next = Math.min(...this.#waiting.map((delayed) => this.#dueAt(delayed)));
    if (next === Number.POSITIVE_INFINITY) return;
    const left = Math.max(0, next - Date.now());
    this.#timer = setTimeout(() => this.#sendDue(), Math.min(left, MAX_TIMER_MS));
  }

  #dueAt({ id, at }: Delayed): number {
    return this.#notBefore.get(id) ?? at;
  }

  #sendDue(): void {
    const now = Date.now();
    const due = this.#waiting.filter((delayed) => this.#dueAt(delayed) <= now);
    for (const delayed of due.sort((a, b) => a.at - b.at || a.id - b.id)) {
      this.#notBefore.set(delayed.id, Number.POSITIVE_INFINITY);
      this.#send(delayed).catch((error) => this.#options.failed(error));
    }
    this.#arm();
  }

  async #send(delayed: Delayed): Promise<void> {
    // The messageId is kept with it: sent once more after a crash, it is still one message.
    if (await this.#options.send(delayed)) return this.#remove(delayed);
    this.#notBefore.set(delayed.id, Date.now() + RETRY_MS);
    this.#arm();
  }

  #remove({ id }: Delayed): void {
    this.#notBefore.delete(id);
    this.#keep(this.#waiting.filter((one) => one.id !== id));
    this.#arm();
  }

  #keep(waiting: Delayed[]): void {
    this.#waiting = waiting;
    writePrivate(this.#file, `${JSON.stringify(waiting, null, 2)}\n`);
  }
}

function read(file: string): Delayed[] {
  if (!existsSync(file)) return [];
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Delayed[];
  } catch {
    return [];
  }
}
