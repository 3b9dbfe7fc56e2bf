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
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();
  #waiting: Delayed[];
  #ended = false;

  constructor(file: string, options: DelaysOptions) {
    this.#file = file;
    this.#options = options;
    this.#waiting = read(file);
    for (const delayed of this.#waiting) this.#arm(delayed);
  }

  get waiting(): readonly Delayed[] {
    return this.#waiting;
  }

  /** @throws Mistake when too many wait already */
  add(delayed: Omit<Delayed, "id">): Delayed {
    if (this.#waiting.length >= MAX_DELAYS) throw new Mistake({ what: "too-many-delays", limit: MAX_DELAYS });
    const added = { ...delayed, id: 1 + Math.max(0, ...this.#waiting.map(({ id }) => id)) };
    this.#keep([...this.#waiting, added]);
    this.#arm(added);
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
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  #arm(delayed: Delayed): void {
    const left = Math.max(0, delayed.at - Date.now());
    const due = () => void this.#due(delayed).catch((error) => this.#options.failed(error));
    const timer = setTimeout(due, Math.min(left, MAX_TIMER_MS));
    this.#timers.set(delayed.id, timer);
  }

  async #due(delayed: Delayed): Promise<void> {
    this.#timers.delete(delayed.id);
    // The messageId is kept with it: sent once more after a crash, it is still one message.
    if (await this.#options.send(delayed)) this.#remove(delayed);
    else if (!this.#ended) this.#arm({ ...delayed, at: Date.now() + RETRY_MS });
  }

  #remove({ id }: Delayed): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.#keep(this.#waiting.filter((one) => one.id !== id));
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
