/** From the start of the process to the line that says it is ready, and the memory it then holds. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Measurement, printReport } from "./report.ts";

const TRIALS = 7;
const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * 1024;

export async function start(): Promise<void> {
  const programs: [string, string[]][] = [["bun start.ts", [process.execPath, "start.ts"]]];
  if (existsSync("dist/cim")) programs.push(["dist/cim", ["dist/cim"]]);
  const measurements: Measurement[] = [];
  for (const [name, command] of programs) {
    await trial(command); // warms the cache
    const trials: { readyMs: number; residentMiB: number }[] = [];
    for (let i = 0; i < TRIALS; i++) trials.push(await trial(command));
    measurements.push(
      { name: `${name}: ready`, unit: "ms", trials: trials.map((one) => one.readyMs) },
      {
        name: `${name}: resident memory when ready`,
        unit: "MiB",
        trials: trials.map((one) => one.residentMiB),
      },
    );
  }
  printReport({
    scenario: "start",
    command: "bun run build cim && bun run bench start",
    settings: { trials: TRIALS, warmUps: 1, data: "a new directory for each trial" },
    measurements,
  });
}

async function trial(command: string[]): Promise<{ readyMs: number; residentMiB: number }> {
  const data = mkdtempSync(join(tmpdir(), "cim-bench-"));
  const env = {
    ...process.env,
    CIM_DATA: data,
    CIM_ROUTE_PORT: "0",
    CIM_SERVER_PORT: "0",
    CIM_SERVER_HTTP_PORT: "0",
  };
  const began = performance.now();
  const child = Bun.spawn(command, { env, stdout: "pipe", stderr: "inherit" });
  try {
    await lineWith(child.stdout, "ready");
    return { readyMs: performance.now() - began, residentMiB: residentBytes(child.pid) / MEBIBYTE };
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

function residentBytes(pid: number): number {
  const kibibytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kibibytes) * KIBIBYTE;
}
