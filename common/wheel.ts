/**
 * One lazy timing wheel for the deadlines of many things: putting one off costs its owner a timestamp and the wheel
 * nothing, since the wheel asks for the deadline only when the one it knew has come.
 * (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987.)
 */
export interface Timed {
  /** When it is due, on the wheel's clock, as of now. */
  readonly due: number;
  /** It was due, and is on the wheel no more. */
  expire(): void;
  /** Where it is on the wheel; -1 when it is not. The wheel's alone. */
  slot: number;
}

export interface WheelOptions {
  /** How exact deadlines are kept, and how often `advance` is to be called. Default 500 ms. */
  tickMs?: number;
  /** Milliseconds on a clock that never goes back. Default `performance.now`. */
  clock?: () => number;
}

const DEFAULT_TICK_MS = 500;
/** A step longer than so many ticks counts as this: see `now`. */
const MAX_STEP_TICKS = 2;
/** A deadline beyond all slots is asked for again when the last of them comes round. */
const SLOTS = 512;

export class Wheel {
  readonly tickMs: number;
  /**
   * The time as of the last `advance`: what to note as the time of an event, for next to nothing. A standstill of the
   * whole process does not count: what others did meanwhile waits to be read, and they must not expire before it is.
   */
  now: number;
  readonly #clock: () => number;
  #advanced: number;
  readonly #slots: Set<Timed>[] = Array.from({ length: SLOTS }, () => new Set());
  /** The tick up to which everything has been looked at. */
  #tick: number;

  constructor({ tickMs = DEFAULT_TICK_MS, clock = () => performance.now() }: WheelOptions = {}) {
    this.tickMs = tickMs;
    this.#clock = clock;
    this.now = this.#advanced = clock();
    this.#tick = Math.floor(this.now / tickMs);
  }

  /** Has `item` expire when it is due. Also for one whose deadline came nearer: it is moved. */
  add(item: Timed): void {
    this.remove(item);
    const ticks = Math.ceil(item.due / this.tickMs) - this.#tick;
    item.slot = (this.#tick + Math.min(Math.max(ticks, 1), SLOTS - 1)) % SLOTS;
    this.#slots[item.slot]!.add(item);
  }

  remove(item: Timed): void {
    if (item.slot >= 0) this.#slots[item.slot]!.delete(item);
    item.slot = -1;
  }

  /** Goes on to what the clock shows, and expires what is due. */
  advance(): void {
    const before = this.#advanced;
    this.#advanced = this.#clock();
    this.now += Math.min(this.#advanced - before, MAX_STEP_TICKS * this.tickMs);
    const tick = Math.floor(this.now / this.tickMs);
    while (this.#tick < tick) this.#turn(++this.#tick % SLOTS);
  }

  #turn(slot: number): void {
    const due = this.#slots[slot]!;
    if (due.size === 0) return;
    this.#slots[slot] = new Set();
    for (const item of due) {
      // Another's end may have taken it off meanwhile, or put it elsewhere.
      if (item.slot !== slot) continue;
      item.slot = -1;
      if (item.due <= this.now) item.expire();
      else this.add(item);
    }
  }
}
