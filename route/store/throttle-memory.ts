import type { Throttle } from "./throttle.ts";

/**
 * Counts in this process. A key costs memory from its first event until the last one is a window ago.
 * @param now milliseconds, from a clock that never steps
 */
export function memoryThrottle(
  now: () => number = () => performance.now(),
): Throttle & { /** How many keys it knows of. */ keys(): number } {
  // By window, then by key: within one window the key that was counted last stands last, and the first is the first
  // to be over, so that forgetting needs neither a timer nor a walk through all.
  const windows = new Map<number, Map<string, number[]>>();

  function forgetFirst(keys: Map<string, number[]>, before: number): void {
    // Two for each that comes: the past shrinks faster than it grows.
    let left = 2;
    for (const [key, times] of keys) {
      if (left-- === 0 || times.at(-1)! > before) return;
      keys.delete(key);
    }
  }

  return {
    keys: () => windows.values().reduce((sum, keys) => sum + keys.size, 0),
    async take(key, limit, windowMs) {
      const time = now();
      const keys = windows.getOrInsertComputed(windowMs, () => new Map());
      forgetFirst(keys, time - windowMs);
      const times = keys.get(key) ?? [];
      const live = times.findIndex((at) => at > time - windowMs);
      times.splice(0, live === -1 ? times.length : live);
      if (times.length >= limit) {
        // With a limit of 0 no time will do; a window is as good an answer as any.
        return Math.max(1, Math.ceil((times[times.length - limit] ?? time) + windowMs - time));
      }
      times.push(time);
      keys.delete(key);
      keys.set(key, times);
      return 0;
    },
    async giveBack(key) {
      for (const keys of windows.values()) {
        const times = keys.get(key);
        if (times === undefined) continue;
        times.pop();
        if (times.length === 0) keys.delete(key);
      }
    },
  };
}
