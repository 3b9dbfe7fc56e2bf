import { setInterval } from "node:timers/promises";

const POLL_MS = 10;

/**
 * Asks again and again until the answer is neither false, null nor undefined, and answers it.
 * @throws after `deadlineMs`, naming `what`, with the last error as cause
 */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  deadlineMs = 10_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + deadlineMs;
  let cause: unknown;
  for await (const _ of setInterval(POLL_MS, undefined)) {
    try {
      const answer = await ask();
      if (answer !== null && answer !== undefined && answer !== false) return answer;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) break;
  }
  throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause });
}
