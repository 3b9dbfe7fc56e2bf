/** Keeps a connection known to be alive. Knows no socket. */
import type { Clock } from "./clock.ts";

export interface HeartbeatOptions {
  clock: Clock;
  /** Ping when nothing was written for this long; dead when nothing was heard for twice as long. */
  everyMs: number;
  ping(): void;
  dead(silentMs: number): void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #wrote: number;
  #heard: number;
  #cancel: () => void = () => {};

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#wrote = this.#heard = options.clock.now();
    this.#arm();
  }

  wrote(): void {
    this.#wrote = this.#options.clock.now();
  }

  heard(): void {
    this.#heard = this.#options.clock.now();
  }

  stop(): void {
    this.#cancel();
  }

  // One timer, set anew when it fires: traffic costs two assignments and no timer.
  #arm(): void {
    const { clock, everyMs } = this.#options;
    const due = Math.min(this.#wrote + everyMs, this.#heard + 2 * everyMs);
    this.#cancel = clock.after(Math.max(0, due - clock.now()), () => this.#look());
  }

  #look(): void {
    const { clock, everyMs, ping, dead } = this.#options;
    const now = clock.now();
    if (now - this.#heard >= 2 * everyMs) {
      dead(now - this.#heard);
      return;
    }
    if (now - this.#wrote >= everyMs) {
      this.#wrote = now;
      ping();
    }
    this.#arm();
  }
}
