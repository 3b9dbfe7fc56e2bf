/** From the start of the process to the line that says it is ready, and the memory it then holds. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { residentBytesOf } from "./processes.ts";
import type { Case, Scenario } from "./scenario.ts";

const MEBIBYTE = 1024 * 1024;

export const start: Scenario = {
  name: "start",
  sentence: "Time until everything in one process says that it is ready, and the memory it holds then.",
  flags: { starts: { default: "7", meaning: "starts in a trial, whose middle one counts" } },
  cases(options) {
    const starts = options.number("starts");
    const programs: [string, string[]][] = [["bun start.ts", [process.execPath, "start.ts"]]];
    if (existsSync("dist/cim")) programs.push(["dist/cim", ["dist/cim"]]);
    return programs.map(([name, command]): Case => {
      const settings = { starts, warmUps: 1, data: "a new directory for each start" };
      return { name, settings, trial: () => trial(command, starts) };
    });
  },
  plots: [
    { title: "Ready", measurements: ["ready"] },
    { title: "Resident memory when ready", measurements: ["resident memory"] },
  ],
};

async function trial(command: string[], count: number) {
  await startOnce(command); // warms the cache
  const starts: Awaited<ReturnType<typeof startOnce>>[] = [];
  for (let i = 0; i < count; i++) starts.push(await startOnce(command));
  const middle = (of: (one: (typeof starts)[number]) => number) =>
    starts.map(of).sort((a, b) => a - b)[count >> 1]!;
  return {
    values: [
      { name: "ready", unit: "ms", value: middle((one) => one.readyMs) },
      { name: "resident memory", unit: "MiB", value: middle((one) => one.residentMiB) },
    ],
  };
}

async function startOnce(command: string[]): Promise<{ readyMs: number; residentMiB: number }> {
  const data = mkdtempSync(join(tmpdir(), "cim-bench-"));
  const env = {
    ...process.env,
    CIM_DATA: data,
    CIM_LOG: "warn",
    CIM_ROUTE_PORT: "0",
    CIM_SERVER_PORT: "0",
    CIM_SERVER_HTTP_PORT: "0",
  };
  const began = performance.now();
  const child = Bun.spawn(command, { env, stdout: "pipe", stderr: "inherit" });
  try {
    await lineWith(child.stdout, "ready");
    return { readyMs: performance.now() - began, residentMiB: residentBytesOf(child.pid) / MEBIBYTE };
  } finally {
    child.kill("SIGTERM");
    await child.exited;
    rmSync(data, { recursive: true });
  }
}

async function lineWith(stream: ReadableStream<Uint8Array>, word: string): Promise<void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes(word)) return;
  }
  throw new Error(`the process ended without saying ${word}: ${text}`);
}
