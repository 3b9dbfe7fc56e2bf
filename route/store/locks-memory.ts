import type { Locks } from "./locks.ts";

/** @param now milliseconds, from a clock that never steps */
export function memoryLocks(now: () => number = () => performance.now()): Locks {
  const held = new Map<string, { holder: string; until: number }>();

  return {
    async take(name, holder, ms) {
      const there = held.get(name);
      if (there && there.holder !== holder && there.until > now()) return false;
      held.set(name, { holder, until: now() + ms });
      return true;
    },
    async release(name, holder) {
      if (held.get(name)?.holder === holder) held.delete(name);
    },
  };
}
