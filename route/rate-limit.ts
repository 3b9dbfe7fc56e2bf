import { CimError } from "../proto/status.ts";

const MAX_USERS = 100_000;
const SECOND_MS = 1000;

interface Bucket {
  left: number;
  /** When it was filled last. */
  at: number;
  /** When it was put behind all others. */
  moved: number;
}

/** A token bucket for each user who sent lately: `perSecond` messages a second, a second's worth at once. */
export class RateLimit {
  // In the order of their last use, to a second, so that the longest unused can be forgotten first.
  readonly #buckets = new Map<number, Bucket>();

  constructor(
    readonly perSecond: number,
    readonly now: () => number = Date.now,
  ) {}

  /** Counts one message; answers why it must wait, or null. */
  take(userId: number): CimError | null {
    const now = this.now();
    const bucket = this.#buckets.get(userId) ?? {
      left: this.perSecond,
      at: now,
      moved: Number.NEGATIVE_INFINITY,
    };
    // A clock may step back.
    const passed = Math.max(0, now - bucket.at);
    bucket.left = Math.min(this.perSecond, bucket.left + (passed * this.perSecond) / SECOND_MS);
    bucket.at = now;
    if (Math.abs(now - bucket.moved) >= SECOND_MS) this.#move(userId, bucket, now);
    if (bucket.left < 1) {
      return new CimError(
        "RATE_LIMITED",
        `user ${userId} sends more than ${this.perSecond} messages a second`,
      );
    }
    bucket.left--;
    return null;
  }

  #move(userId: number, bucket: Bucket, now: number): void {
    bucket.moved = now;
    this.#buckets.delete(userId);
    this.#buckets.set(userId, bucket);
    if (this.#buckets.size > MAX_USERS) this.#buckets.delete(this.#buckets.keys().next().value!);
  }
}
