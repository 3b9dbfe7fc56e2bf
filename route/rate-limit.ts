import { CimError } from "../proto/status.ts";

const MAX_USERS = 100_000;
const SECOND_MS = 1000;

/** A token bucket for each user who sent lately: `perSecond` messages a second, a second's worth at once. */
export class RateLimit {
  // In the order of their last use, so that the longest unused can be forgotten first.
  readonly #buckets = new Map<number, { left: number; at: number }>();

  constructor(
    readonly perSecond: number,
    readonly now: () => number = Date.now,
  ) {}

  /** Counts one message; answers why it must wait, or null. */
  take(userId: number): CimError | null {
    const now = this.now();
    const bucket = this.#buckets.get(userId) ?? { left: this.perSecond, at: now };
    bucket.left = Math.min(this.perSecond, bucket.left + ((now - bucket.at) * this.perSecond) / SECOND_MS);
    bucket.at = now;
    this.#buckets.delete(userId);
    this.#buckets.set(userId, bucket);
    if (this.#buckets.size > MAX_USERS) this.#buckets.delete(this.#buckets.keys().next().value!);
    if (bucket.left < 1) {
      return new CimError(
        "RATE_LIMITED",
        `user ${userId} sends more than ${this.perSecond} messages a second`,
      );
    }
    bucket.left--;
    return null;
  }
}
