/** The session of an account, remembered between starts; and which console has it. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { makeDirectory, writePrivate } from "./files.ts";

export class Remembered {
  readonly #file: string;
  readonly #lock: string;
  #held = false;

  constructor(file: string) {
    this.#file = file;
    this.#lock = `${file}.lock`;
  }

  /**
   * Takes the session for this process.
   * @returns false when another console that still runs has it: resuming it there would end it here
   */
  take(): boolean {
    makeDirectory(this.#lock);
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        writeFileSync(this.#lock, String(process.pid), { flag: "wx", mode: 0o600 });
        this.#held = true;
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      if (isRunning(readNumber(this.#lock))) return false;
      rmSync(this.#lock, { force: true });
    }
    return false;
  }

  /** The token, if there is one and it is ours to use. */
  token(): string | undefined {
    if (!this.#held) return undefined;
    try {
      const { token } = JSON.parse(readFileSync(this.#file, "utf8")) as { token?: unknown };
      return typeof token === "string" ? token : undefined;
    } catch {
      return undefined;
    }
  }

  remember(token: string, account: object): void {
    if (this.#held) writePrivate(this.#file, `${JSON.stringify({ ...account, token }, null, 2)}\n`);
  }

  forget(): void {
    if (this.#held) rmSync(this.#file, { force: true });
  }

  /** Leaves the session to the next console. */
  release(): void {
    if (this.#held) rmSync(this.#lock, { force: true });
    this.#held = false;
  }
}

function readNumber(file: string): number {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return 0;
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Of another user, and there.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
