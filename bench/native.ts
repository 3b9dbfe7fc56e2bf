/**
 * Programs in C that must not cost what Bun costs: floors and load generators. They are compiled when they are
 * needed, from native/<name>.c, into a directory that goes with this process.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BenchError } from "./scenario.ts";

const FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra"];
const SOURCES = join(import.meta.dir, "native");

const compiled = new Map<string, string>();
let directory: string | null = null;

/** Where the compiled program is. @throws BenchError without gcc, or with what gcc says */
export function compile(name: string): string {
  const found = compiled.get(name);
  if (found) return found;
  if (!Bun.which("gcc")) throw new BenchError(`native/${name}.c: there is no gcc in PATH to compile it with`);
  directory ??= temporary();
  const program = join(directory, name);
  const { exitCode, stderr } = Bun.spawnSync([
    "gcc",
    ...FLAGS,
    "-o",
    program,
    join(SOURCES, `${name}.c`),
    "-lm",
  ]);
  if (exitCode !== 0) throw new BenchError(`gcc native/${name}.c: ${stderr.toString()}`);
  compiled.set(name, program);
  return program;
}

/** Removes what was compiled. Called at the end of the process, and by tests, whose runner has no such end. */
export function removeCompiled(): void {
  compiled.clear();
  if (directory !== null) rmSync(directory, { recursive: true, force: true });
  directory = null;
}

function temporary(): string {
  process.once("exit", removeCompiled);
  return mkdtempSync(join(tmpdir(), "cim-bench-native-"));
}
