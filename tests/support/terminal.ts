/** A program in a terminal of its own, as a person uses it: types lines, sees a screen. Needs tmux. */
import { REPOSITORY } from "./process.ts";
import { until } from "./until.ts";

const COLUMNS = "120";
const ROWS = "50";
const HISTORY_LINES = "5000";

let opened = 0;

export class Terminal {
  private constructor(readonly socket: string) {}

  static async open(command: readonly string[], env: Record<string, string>): Promise<Terminal> {
    const terminal = new Terminal(`cim-test-${process.pid}-${++opened}`);
    // A clean environment, and what is shown last stays on the screen when the program ends.
    const clean = { LANG: "C.UTF-8", TERM: "xterm-256color", HOME: process.env.HOME ?? "/", ...env };
    const assignments = Object.entries(clean).map(([name, value]) => `${name}=${value}`);
    await terminal.#tmux(
      ["-f", "/dev/null", "start-server", ";"],
      ["set-option", "-g", "remain-on-exit", "on", ";"],
      ["set-option", "-g", "history-limit", HISTORY_LINES, ";"],
      ["new-session", "-d", "-x", COLUMNS, "-y", ROWS, "-c", REPOSITORY],
      ["env", "-i", ...assignments, ...command],
    );
    return terminal;
  }

  /** Types a line and presses enter. */
  async type(line: string): Promise<void> {
    await this.#tmux(["send-keys", "-l", "--", line, ";"], ["send-keys", "Enter"]);
  }

  /** Types without pressing enter; names of tmux's keys with `named`. */
  async press(keys: string, named = false): Promise<void> {
    await this.#tmux(["send-keys", ...(named ? [] : ["-l"]), "--", keys]);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux(["resize-window", "-x", String(columns), "-y", String(rows)]);
  }

  /** All that was shown, and what stands on the screen, wrapped lines joined. */
  screen(): Promise<string> {
    return this.#tmux(["capture-pane", "-p", "-J", "-S", `-${HISTORY_LINES}`]);
  }

  async shows(text: string | RegExp, deadlineMs?: number): Promise<void> {
    let seen = "";
    try {
      await until(
        `the terminal shows ${text}`,
        async () => {
          seen = await this.screen();
          return typeof text === "string" ? seen.includes(text) : text.test(seen);
        },
        deadlineMs,
      );
    } catch (error) {
      throw new Error(`the terminal does not show ${text}, but:\n${seen.trimEnd()}`, { cause: error });
    }
  }

  async pid(): Promise<number> {
    return Number(await this.#tmux(["display-message", "-p", "#{pane_pid}"]));
  }

  /** `kill -9` of the program, and the end of its terminal; resolves when it is gone. */
  async kill(): Promise<void> {
    const pid = await this.pid();
    process.kill(pid, "SIGKILL");
    // As long as nobody takes note of its end there is still a process of this id; a terminal may not, its heir does.
    await this.close();
    await until("the program in the terminal is gone", () => !isThere(pid));
  }

  /** Resolves with the exit code once the program has ended; null when a signal ended it. */
  async ended(): Promise<number | null> {
    const [, status, signal] = await until("the program in the terminal ends", async () => {
      const format = "#{pane_dead}:#{pane_dead_status}:#{pane_dead_signal}";
      const parts = (await this.#tmux(["display-message", "-p", format])).trim().split(":");
      return parts[0] === "1" ? parts : null;
    });
    // tmux leaves a status of 0 out.
    return signal ? null : Number(status);
  }

  async close(): Promise<void> {
    await this.#tmux(["kill-server"]).catch(() => {});
  }

  async #tmux(...parts: string[][]): Promise<string> {
    const run = Bun.spawn(["tmux", "-L", this.socket, ...parts.flat()], { stderr: "pipe" });
    const [out, err, code] = await Promise.all([
      new Response(run.stdout).text(),
      new Response(run.stderr).text(),
      run.exited,
    ]);
    if (code !== 0) throw new Error(`tmux ${parts.flat().slice(0, 4).join(" ")} …: ${err.trim()}`);
    return out;
  }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
