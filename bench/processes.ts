/** Real processes on free ports and a new directory, and what they cost. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BenchError } from "./scenario.ts";

const CLOCK_TICKS_PER_SECOND = 100; // what Linux counts in, whatever the kernel's own tick (man 5 proc)
const KIBIBYTE = 1024;
const END_MS = 20_000;

/** Processor seconds, in the program itself and in the kernel for it. */
export interface Processor {
  user: number;
  system: number;
}

export function processorOf(pid: number): Processor {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return {
    user: Number(fields[11]) / CLOCK_TICKS_PER_SECOND,
    system: Number(fields[12]) / CLOCK_TICKS_PER_SECOND,
  };
}

export function residentBytesOf(pid: number): number {
  const kibibytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1];
  return Number(kibibytes) * KIBIBYTE;
}

/** Seconds that all cores together did nothing, since the machine began. */
export function idleSeconds(): number {
  const [, , , , idle, wait] = readFileSync("/proc/stat", "utf8").split("\n")[0]!.split(/\s+/);
  return (Number(idle) + Number(wait)) / CLOCK_TICKS_PER_SECOND;
}

/** What processes spend between its making and each call of `spent`. */
export class Meter<P extends string> {
  readonly #pids: Record<P, number>;
  readonly #before: Map<P, Processor>;
  readonly #idle = idleSeconds();

  constructor(pids: Record<P, number>) {
    this.#pids = pids;
    this.#before = this.#now();
  }

  spent(): Record<P, Processor> {
    const now = [...this.#now()].map(([name, { user, system }]) => {
      const before = this.#before.get(name)!;
      return [name, { user: user - before.user, system: system - before.system }];
    });
    return Object.fromEntries(now);
  }

  /** Seconds of all cores together that nobody used. */
  idle(): number {
    return idleSeconds() - this.#idle;
  }

  #now(): Map<P, Processor> {
    const pids = Object.entries(this.#pids) as [P, number][];
    return new Map(pids.map(([name, pid]) => [name, processorOf(pid)]));
  }
}

/** Processes that end together, in the reverse order of their start; and a directory that goes with them. */
export class Processes {
  readonly data = mkdtempSync(join(tmpdir(), "cim-bench-"));
  readonly #children: Bun.Subprocess[] = [];
  readonly #remove = () => rmSync(this.data, { recursive: true, force: true });

  constructor() {
    // For a run that is broken off; `bun --no-orphans` ends the processes then.
    process.once("exit", this.#remove);
  }

  /** Has a child that another started end with the others. */
  adopt(child: Bun.Subprocess): void {
    this.#children.push(child);
  }

  /** Starts a program, and resolves with its pid and what it printed once there is `ready` in that. */
  async start(
    command: string[],
    settings: Record<string, string | number> = {},
    ready = "",
  ): Promise<{ pid: number; printed: string }> {
    const given = Object.entries(settings).map(([name, value]) => [name, String(value)]);
    const env = { ...process.env, ...Object.fromEntries(given) };
    const child = Bun.spawn(command, { env, cwd: ROOT, stdout: "pipe", stderr: "inherit" });
    this.#children.push(child);
    return { pid: child.pid, printed: await printedUpTo(ready, child.stdout, command) };
  }

  /** A Redis under the configuration that is shipped: what it has is on the disk before an answer. */
  async startRedis(options: Record<string, string> = {}): Promise<{ pid: number; url: string }> {
    if (!Bun.which("redis-server")) throw new BenchError("there is no redis-server in PATH");
    const port = await freePort();
    const given = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const place = ["--port", String(port), "--dir", this.data];
    const command = ["redis-server", join(ROOT, "deploy/redis.conf"), ...place, ...given];
    const { pid } = await this.start(command, {}, "eady to accept connections");
    return { pid, url: `redis://127.0.0.1:${port}` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.toReversed()) {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), END_MS);
      await child.exited;
      clearTimeout(late);
    }
    process.off("exit", this.#remove);
    this.#remove();
  }
}

const ROOT = join(import.meta.dir, "..");

/** @throws BenchError when the program ends before it printed `word` */
async function printedUpTo(
  word: string,
  output: ReadableStream<Uint8Array>,
  command: string[],
): Promise<string> {
  const decoder = new TextDecoder();
  let printed = "";
  for await (const chunk of output) {
    printed += decoder.decode(chunk, { stream: true });
    if (printed.includes(word)) return printed;
  }
  throw new BenchError(`${command.join(" ")} ended without a word of ${word || "anything"}: ${printed}`);
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
