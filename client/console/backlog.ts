/**
 * What was said while a person was away, on its way to the screen: of what was said to everyone only the newest is
 * shown. All of it is in the history.
 */
import { ALL } from "../../proto/conversation.ts";
import type { Said } from "./events.ts";

export interface BacklogOptions {
  show(said: Said): void;
  /** So many that were said to everyone before what is shown next are not shown. */
  skipped(count: number): void;
}

export const MAX_SHOWN = 100;
/** When nothing more came for so long, that was it. */
const QUIET_MS = 300;
/** Where clocks differ, what is new looks old: nobody waits longer for it. */
const MAX_MS = 5 * 1000;

interface Held {
  /** Which of all it was. */
  place: number;
  said: Said;
}

export class Backlog {
  readonly #options: BacklogOptions;
  #toEveryone: Held[] = [];
  #toOne: Held[] = [];
  #count = 0;
  /** Milliseconds since 1970; null: nothing is held any more. */
  #since: number | null = null;
  /** When the first was held, as performance.now() counts. */
  #heldAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: BacklogOptions) {
    this.#options = options;
  }

  /** There is a connection: what was said before comes first. */
  begin(now: number = Date.now()): void {
    this.#since = now;
  }

  add(said: Said): void {
    if (this.#since === null) {
      this.#options.show(said);
      return;
    }
    const held = said.conversation === ALL ? this.#toEveryone : this.#toOne;
    if (this.#count === 0) this.#heldAt = performance.now();
    held.push({ place: this.#count++, said });
    if (this.#toEveryone.length > MAX_SHOWN) this.#toEveryone.shift();
    clearTimeout(this.#timer);
    if (said.at >= this.#since || performance.now() - this.#heldAt > MAX_MS) this.end();
    else this.#timer = setTimeout(() => this.end(), QUIET_MS);
  }

  /** Shows what is held; from now on everything at once. */
  end(): void {
    clearTimeout(this.#timer);
    const held = [...this.#toOne, ...this.#toEveryone].sort((a, b) => a.place - b.place);
    const skipped = this.#count - held.length;
    this.#toEveryone = [];
    this.#toOne = [];
    this.#count = 0;
    this.#since = null;
    if (skipped > 0) this.#options.skipped(skipped);
    for (const { said } of held) this.#options.show(said);
  }
}
