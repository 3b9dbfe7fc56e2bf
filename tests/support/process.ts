/** Processes of ours as an operator runs them: started, watched by what they print, ended by their id. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob, type Subprocess } from "bun";
import { until } from "./until.ts";

/** For setDefaultTimeout: whole processes start, stop and wait out leases, which takes longer than Bun's 5 s. */
export const PROCESS_TEST_MS = 60 * 1000;

export const REPOSITORY = join(import.meta.dir, "../..");

type Signal = "SIGTERM" | "SIGINT" | "SIGKILL" | "SIGSTOP" | "SIGCONT";

export interface RunOptions {
  /** Settings; the test's own CIM_ variables are not handed on. */
  env?: Record<string, string>;
  cwd?: string;
  stdin?: "pipe" | "ignore";
}

export class RunningProcess {
  /** All it has printed so far, both streams. */
  output = "";
  readonly #process: Subprocess;

  constructor(
    readonly command: readonly string[],
    options: RunOptions = {},
  ) {
    const { PATH, HOME, TMPDIR, LANG } = process.env;
    const inherited = Object.fromEntries(
      Object.entries({ PATH, HOME, TMPDIR, LANG }).filter(([, value]) => value !== undefined),
    );
    this.#process = Bun.spawn([...command], {
      cwd: options.cwd ?? REPOSITORY,
      env: { ...inherited, ...options.env },
      stdin: options.stdin ?? "ignore",
      stdout: "pipe",
      stderr: "pipe",
      // A group of its own, so that all of it can be ended.
      detached: true,
    });
    void this.#read(this.#process.stdout as ReadableStream<Uint8Array>);
    void this.#read(this.#process.stderr as ReadableStream<Uint8Array>);
  }

  get pid(): number {
    return this.#process.pid;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Its exit code; 128 + the signal's number when a signal ended it. */
  get exited(): Promise<number> {
    return this.#process.exited;
  }

  type(line: string): void {
    const stdin = this.#process.stdin;
    if (typeof stdin !== "object" || stdin === null) throw new Error("started without a stdin");
    void stdin.write(`${line}\n`);
    void stdin.flush();
  }

  /** Resolves with the match once it has printed it. @throws when it ends before */
  async printed(pattern: RegExp | string, deadlineMs?: number): Promise<RegExpMatchArray> {
    const found = () => this.output.match(typeof pattern === "string" ? RegExp.escape(pattern) : pattern);
    const answer = await until(
      `${this.command.join(" ")} prints ${pattern}; it printed:\n${this.output}`,
      () => found() ?? (this.running ? null : "ended"),
      deadlineMs,
    );
    if (answer === "ended")
      throw new Error(`${this.command.join(" ")} ended without ${pattern}:\n${this.output}`);
    return answer;
  }

  signal(signal: Signal): void {
    if (this.running) this.#process.kill(signal);
  }

  /** `kill -9`, of all that it has started, too. */
  async kill(): Promise<void> {
    if (this.running) process.kill(-this.pid, "SIGKILL");
    await this.exited;
  }

  /** SIGTERM; answers the exit code. @throws when it does not end in time, after killing it */
  async stop(deadlineMs = 10_000): Promise<number> {
    this.signal("SIGTERM");
    try {
      await until(`${this.command.join(" ")} ends on SIGTERM`, () => !this.running, deadlineMs);
    } finally {
      await this.kill();
    }
    return this.exited;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.output += decoder.decode(chunk, { stream: true });
  }
}

/** The processes that this one has started and that run, in the order of their start. */
export function childrenOf(pid: number): number[] {
  const tasks = [...new Glob("*/children").scanSync(`/proc/${pid}/task`)];
  const lists = tasks.map((task) => readFileSync(`/proc/${pid}/task/${task}`, "utf8"));
  return lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number)).filter(isRunning);
}

/** Whether there is such a process, and it has not ended (an ended one stays until someone asks for its exit code). */
export function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
