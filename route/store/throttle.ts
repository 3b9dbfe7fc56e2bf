/** Counts what must not happen too often, together for all routes of a store. */
export interface Throttle {
  /**
   * Count one event under `key`, unless `limit` of them were counted within the last `windowMs` already.
   * @returns 0 when it was counted, else milliseconds until the next one may be
   */
  take(key: string, limit: number, windowMs: number): Promise<number>;
  /** Uncount the last event under `key`: it turned out harmless. */
  giveBack(key: string): Promise<void>;
}
