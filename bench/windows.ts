/** Trials that share what takes long to set up: windows of time on one run. */
import type { Trial } from "./scenario.ts";

/** A case's `trial`: the first call makes all of them, each further one answers the next. */
export function windows(run: () => Promise<Trial[]>): () => Promise<Trial> {
  let all: Promise<Trial[]> | null = null;
  let next = 0;
  return async () => {
    all ??= run();
    return (await all)[next++]!;
  };
}
