/** Consoles in this process, with pipes for a terminal and files of their own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import type { Event } from "../../../client/console/events.ts";
import { runConsole } from "../../../client/console/run.ts";

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export class Consoles {
  readonly home = mkdtempSync(join(tmpdir(), "cim-console-"));

  constructor(readonly routeUrl: string) {}

  /** Runs one with these lines for input, from its start to its end. */
  run(args: string[], lines: string[], env: Record<string, string> = {}): Promise<Ran> {
    const { stdin, ran } = this.open(args, env);
    stdin.end(lines.map((line) => `${line}\n`).join(""));
    return ran;
  }

  /** Like `run`, with --json: what it told. */
  async events(user: string, lines: string[]): Promise<Event[]> {
    const { out } = await this.run(["--user", user, "--json"], lines);
    return out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
  }

  open(args: string[], env: Record<string, string> = {}) {
    const stdin = new PassThrough();
    const stdout = new PassThrough();
    const texts = { out: "", err: "" };
    stdout.on("data", (chunk: Buffer) => {
      texts.out += chunk;
    });
    const run = runConsole(["--route", this.routeUrl, ...args], {
      stdin,
      stdout,
      stderr: {
        write(text) {
          texts.err += text;
        },
      },
      env: { CIM_PASSWORD: "password1", ...this.env, ...env },
      signal: new AbortController().signal,
    });
    return { stdin, texts, ran: run.then((code): Ran => ({ code, ...texts })) };
  }

  get env(): Record<string, string> {
    return { XDG_CONFIG_HOME: join(this.home, "config"), XDG_DATA_HOME: join(this.home, "data") };
  }

  [Symbol.dispose](): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}
