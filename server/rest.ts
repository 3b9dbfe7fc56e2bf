/**
 * Heartbeats that are left to gather. To wake up for one costs a process about as much as to answer it, and where very
 * many clients are silent that is all it does. So while there are many of them and nothing else, it stands still for a
 * moment after each turn of the event loop that brought some, and then finds several: that halves what silent
 * connections cost (`bun run bench idle`). Whatever else comes first waits for the end of such a moment; in the seconds
 * after it nothing does.
 */
import type { Meters } from "./meters.ts";

/** How long it stands still at a time: far less than a heartbeat may be late, and than anybody notices once. */
export const REST_MS = 50;
/** Nothing but heartbeats has come for so long when it begins to rest. */
export const QUIET_MS = 5 * 1000;
/** With fewer of them in the time of each rest it is not worth it. */
export const MIN_HEARTBEATS = 4;

export class Rest {
  readonly #meters: Meters;
  readonly #sleep: (ms: number) => void;
  readonly #schedule: (turn: () => void) => void;
  #mayRest = false;
  #scheduled = false;
  /** What the meters showed at the last look, and when that was. */
  #stirs = 0;
  #heartbeats = 0;
  #lookedAt: number;
  #quietSince: number;

  /**
   * @param now milliseconds on the clock of `look`
   * @param sleep has the whole process stand still
   * @param schedule runs a function when the turn is over
   */
  constructor(
    meters: Meters,
    now: number,
    sleep: (ms: number) => void,
    schedule: (turn: () => void) => void = setImmediate,
  ) {
    this.#meters = meters;
    this.#lookedAt = this.#quietSince = now;
    this.#sleep = sleep;
    this.#schedule = schedule;
  }

  /** A heartbeat was answered. */
  heartbeat(): void {
    if (!this.#mayRest || this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(this.#over);
  }

  /** To be called several times in `QUIET_MS`. */
  look(now: number): void {
    const { heartbeats, stirs } = this.#meters;
    const worthIt = (MIN_HEARTBEATS * (now - this.#lookedAt)) / REST_MS;
    if (stirs !== this.#stirs || heartbeats - this.#heartbeats < worthIt) this.#quietSince = now;
    this.#stirs = stirs;
    this.#heartbeats = heartbeats;
    this.#lookedAt = now;
    this.#mayRest = now - this.#quietSince >= QUIET_MS;
  }

  readonly #over = () => {
    this.#scheduled = false;
    if (this.#meters.stirs !== this.#stirs) this.#mayRest = false;
    if (this.#mayRest) this.#sleep(REST_MS);
  };
}
