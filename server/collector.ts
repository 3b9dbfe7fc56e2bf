/**
 * A login leaves more garbage than the session keeps, and a process that then only waits allocates too little for the
 * runtime to collect it by itself. So it is collected once a crowd is in.
 */

/** Logins whose garbage is worth a collection. */
const CROWD = 1000;
/** A crowd is in when nobody has logged in for this long. */
const QUIET_MS = 3 * 1000;

export class Collector {
  readonly #collect: () => void;
  #collectedAt = 0;
  #seen = 0;
  #quietSince = 0;

  /** @param collect collects all garbage now, which takes some milliseconds */
  constructor(collect: () => void) {
    this.#collect = collect;
  }

  /**
   * To be called several times in `QUIET_MS`.
   * @param logins so far
   * @param now milliseconds on a clock that never goes back
   */
  tick(logins: number, now: number): void {
    if (logins !== this.#seen) {
      this.#seen = logins;
      this.#quietSince = now;
    } else if (logins - this.#collectedAt >= CROWD && now - this.#quietSince >= QUIET_MS) {
      this.#collectedAt = logins;
      this.#collect();
    }
  }
}
