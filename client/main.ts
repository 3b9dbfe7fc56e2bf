/** cim-client: a chat in a terminal. */
import { runConsole } from "./console/run.ts";

/** Runs the console on this process's terminal or pipes, and ends the process. */
export async function runClient(argv: string[]): Promise<never> {
  const { stdin, stdout, stderr, env } = process;
  const ending = new AbortController();
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.once(signal, () => ending.abort());
  // Whoever read our output has gone, as `head` does, or there is no space for it.
  let unwritten: Error | null = null;
  stdout.on("error", (error) => {
    unwritten = error;
    ending.abort();
  });
  // What comes of that needs no line of its own.
  const told = { write: (text: string) => unwritten !== null || stderr.write(text) };
  const code = await runConsole(argv, { stdin, stdout, stderr: told, env, signal: ending.signal });
  if (unwritten !== null) {
    stderr.write(`cim-client: the output cannot be written: ${(unwritten as Error).message}\n`);
    process.exit(1);
  }
  // A pipe may not have taken everything yet.
  await Promise.all([stdout, stderr].map((stream) => new Promise((taken) => stream.write("", taken))));
  process.exit(code);
}

if (import.meta.main) await runClient(process.argv.slice(2));
