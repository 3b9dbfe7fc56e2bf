/** Loaded into a server before its own program: tells its JavaScript heap, cleaned up, when it is sent SIGUSR2. */
import { heapStats } from "bun:jsc";
import { renameSync } from "node:fs";

process.on("SIGUSR2", () => {
  Bun.gc(true);
  const { heapSize, extraMemorySize, objectTypeCounts } = heapStats();
  const file = `${process.env.BENCH_HEAP}.new`;
  Bun.write(file, JSON.stringify({ heapSize, extraMemorySize, objectTypeCounts }))
    .then(() => renameSync(file, process.env.BENCH_HEAP!))
    .catch(console.error);
});
