/** Real processes on free ports and a new directory, and what they cost. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CLOCK_TICKS_PER_SECOND = 100; // what Linux counts in, whatever the kernel's own tick (man 5 proc)
const KIBIBYTE = 1024;

export interface Cost {
  /** Processor seconds since the process began. */
  seconds: number;
  residentBytes: number;
}

export function costOf(pid: number): Cost {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  const seconds = (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
  const kibibytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1];
  return { seconds, residentBytes: Number(kibibytes) * KIBIBYTE };
}

/** Processes that end together. */
export class Processes {
  readonly data = mkdtempSync(join(tmpdir(), "cim-bench-"));
  readonly #children: Bun.Subprocess[] = [];

  /** Starts one of ours and resolves with its pid once it has printed its banner. */
  async start(entry: string, settings: Record<string, string | number>): Promise<number> {
    const given = Object.entries(settings).map(([name, value]) => [name, String(value)]);
    const env = { ...process.env, CIM_DATA: this.data, CIM_LOG: "warn", ...Object.fromEntries(given) };
    const child = Bun.spawn([process.execPath, entry], { env, stdout: "pipe", stderr: "inherit" });
    this.#children.push(child);
    for await (const _ of child.stdout) return child.pid;
    throw new Error(`${entry} ended without a word`);
  }

  async end(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      child.kill("SIGTERM");
      await child.exited;
    }
    rmSync(this.data, { recursive: true });
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
