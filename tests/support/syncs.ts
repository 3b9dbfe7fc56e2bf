/** How often a process waits for its disk, as strace sees it. */
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunningProcess } from "./process.ts";

/** Why that cannot be seen here; null when it can. */
export const straceMissing: string | null = missing();

export class Syncs {
  readonly #strace: RunningProcess;

  private constructor(
    readonly directory: string,
    pid: number,
  ) {
    this.#strace = new RunningProcess([
      "strace",
      "-f",
      "-e",
      "trace=fsync,fdatasync,sync_file_range",
      "-o",
      this.#file,
      "-p",
      String(pid),
    ]);
  }

  /** Watches a process from here on. */
  static async of(pid: number): Promise<Syncs> {
    const syncs = new Syncs(await mkdtemp(join(tmpdir(), "cim-syncs-")), pid);
    await syncs.#strace.printed(/attached/);
    return syncs;
  }

  async count(): Promise<number> {
    // A call that another thread interrupted is written in two lines, of which the second says that it ended.
    return (await readFile(this.#file, "utf8")).split("\n").filter((line) => / = \d/.test(line)).length;
  }

  get #file(): string {
    return join(this.directory, "calls");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#strace.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

function missing(): string | null {
  if (!Bun.which("strace")) return "no strace in PATH";
  const file = "/proc/sys/kernel/yama/ptrace_scope";
  const isFree = !existsSync(file) || readFileSync(file, "utf8").trim() === "0" || process.getuid?.() === 0;
  return isFree ? null : `strace may not watch other processes (${file})`;
}
