/** Waiting until processes have done what was asked of them. */
import { processorOf } from "./processes.ts";
import { BenchError } from "./scenario.ts";

/** They have when all of them together take less of a core than this. */
const QUIET = 0.2;
const LOOK_MS = 500;
const DEFAULT_WITHIN_SECONDS = 120;

/** @throws BenchError when they are still busy after so many seconds */
export async function quiet(pids: Record<string, number>, withinSeconds = DEFAULT_WITHIN_SECONDS) {
  const now = () =>
    Object.values(pids)
      .map(processorOf)
      .reduce((total, { user, system }) => total + user + system, 0);
  for (let i = 0, before = now(); i * LOOK_MS < withinSeconds * 1000; i++) {
    await Bun.sleep(LOOK_MS);
    const after = now();
    if (after - before < (QUIET * LOOK_MS) / 1000) return;
    before = after;
  }
  throw new BenchError(`${Object.keys(pids).join(", ")} are still busy after ${withinSeconds} s`);
}
