/** How long to wait before trying again: exponential, spread over the whole range. */
export interface BackoffLimits {
  /** The most that is waited before the first try; each further try may wait twice as long. */
  firstMs: number;
  /** Where the doubling ends. */
  maxMs: number;
}

export const DEFAULT_BACKOFF: BackoffLimits = { firstMs: 200, maxMs: 30 * 1000 };

/**
 * Milliseconds to wait before try number `attempt` (0 is the first). A full spread keeps many clients that lost
 * the same server from coming back in waves (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 * @param random from 0 up to, but not including, 1
 */
export function backoffMs(
  attempt: number,
  random: number = Math.random(),
  { firstMs, maxMs }: BackoffLimits = DEFAULT_BACKOFF,
): number {
  // 2^1024 is Infinity, which the minimum takes care of.
  return Math.floor(random * Math.min(maxMs, firstMs * 2 ** Math.max(0, attempt)));
}
