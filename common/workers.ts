/**
 * One role as several processes (CIM_WORKERS), each the same program started again: the parent, which starts, watches
 * and ends its workers, and a worker's line to it. The line is Bun's IPC: its end tells a worker that its parent is
 * gone, however that ended.
 */
import type { Subprocess } from "bun";
import { backoffMs } from "./backoff.ts";
import { ConfigError } from "./config.ts";
import type { Logger } from "./logger.ts";

export interface Crew {
  /** How many workers. */
  count: number;
  /** The words before the flags that make this program the role: `cim server`. */
  words: readonly string[];
  /** The environment of worker number 1, 2, … */
  environment(worker: number): NodeJS.ProcessEnv;
  log: Logger;
  /** Resolves when all are to stop. */
  stopped: Promise<void>;
  /** Called once, when all are ready. */
  ready(banner: string[]): void;
}

/** What a worker tells its parent, once: its banner, or why it cannot start. */
type Word = { ready: string[] } | { refused: string };
const STOP = "stop";

/** Longer than a role takes to drain. */
const STOP_MS = 20 * 1000;
const RESTART = { firstMs: 200, maxMs: 10 * 1000 };
/** A worker that lived this long was a success: what follows is a new failure, not one more. */
const STEADY_MS = 10 * 1000;

/**
 * Runs workers until they are told to stop, each started again when it ends before.
 * @returns the exit code: 0 when all drained
 * @throws ConfigError when one cannot start; none is left running then
 */
export async function runWorkers(crew: Crew): Promise<number> {
  const workers = Array.from({ length: crew.count }, (_, i) => new Worker(crew, i + 1));
  // What a second signal leaves.
  const kill = () => {
    for (const worker of workers) worker.kill();
  };
  process.once("exit", kill);
  const stop = () => Promise.all(workers.map((worker) => worker.stop()));
  try {
    const banners = await Promise.race([Promise.all(workers.map((one) => one.start())), crew.stopped]);
    if (banners) crew.ready(merged(banners));
    await crew.stopped;
    return (await stop()).every((code) => code === 0) ? 0 : 1;
  } catch (error) {
    await stop();
    throw error;
  } finally {
    process.off("exit", kill);
  }
}

class Worker {
  readonly #crew: Crew;
  readonly #number: number;
  readonly #stopping = Promise.withResolvers<void>();
  #isStopping = false;
  #process: Subprocess | null = null;
  #failures = 0;

  constructor(crew: Crew, number: number) {
    this.#crew = crew;
    this.#number = number;
  }

  /** Its banner, once it is ready; from then on it is kept running. @throws ConfigError when it cannot start */
  async start(): Promise<string[]> {
    const { word, ended } = this.#spawn();
    const said = await Promise.race([word, ended]);
    if (typeof said === "string" || "refused" in said) {
      const why = typeof said === "string" ? `it ${said} before it was ready` : said.refused;
      throw new ConfigError(`worker ${this.#number} of ${this.#crew.count}: ${why}`);
    }
    void this.#keep(ended, performance.now());
    return said.ready;
  }

  /** Drains it if it runs, and answers its exit code then, else 0. */
  async stop(): Promise<number> {
    this.#isStopping = true;
    this.#stopping.resolve();
    const running = this.#process;
    if (running === null || hasEnded(running)) return 0;
    running.send(STOP);
    const timer = setTimeout(() => {
      this.#crew.log.error({ worker: this.#number, afterMs: STOP_MS }, "a worker does not end: it is killed");
      this.kill();
    }, STOP_MS);
    const code = await running.exited;
    clearTimeout(timer);
    return code;
  }

  kill(): void {
    this.#process?.kill("SIGKILL");
  }

  /** Starts it again whenever it ends, however often. */
  async #keep(ended: Promise<string>, since: number): Promise<void> {
    const { log } = this.#crew;
    for (;;) {
      const why = await ended;
      if (performance.now() - since >= STEADY_MS) this.#failures = 0;
      if (this.#isStopping) return;
      const againInMs = backoffMs(this.#failures++, Math.random(), RESTART);
      log.warn({ worker: this.#number, why, againInMs }, "a worker ended: it is started again");
      await Promise.race([Bun.sleep(againInMs), this.#stopping.promise]);
      if (this.#isStopping) return;
      since = performance.now();
      const again = this.#spawn();
      ended = again.ended;
      void again.word.then((said) => {
        if ("ready" in said) log.info({ worker: this.#number }, "the worker is ready again");
        else log.error({ worker: this.#number, why: said.refused }, "the worker cannot start");
      });
    }
  }

  /** What it says once it is ready or cannot start, and how it ended. */
  #spawn(): { word: Promise<Word>; ended: Promise<string> } {
    const word = Promise.withResolvers<Word>();
    // Its last word may be read after its end was noticed.
    const unplugged = Promise.withResolvers<void>();
    const program = Bun.isStandaloneExecutable ? [] : [...process.execArgv, Bun.main];
    const command = [process.execPath, ...program, ...this.#crew.words, "--worker", String(this.#number)];
    try {
      const running = Bun.spawn(command, {
        env: this.#crew.environment(this.#number),
        stdio: ["ignore", "inherit", "inherit"],
        ipc: (message) => word.resolve(message as Word),
        onDisconnect: () => unplugged.resolve(),
      });
      this.#process = running;
      const ended = Promise.all([running.exited, unplugged.promise]).then(([code]) =>
        running.signalCode === null ? `ended with ${code}` : `was ended by ${running.signalCode}`,
      );
      return { word: word.promise, ended };
    } catch (error) {
      return { word: word.promise, ended: Promise.resolve(`cannot be run: ${(error as Error).message}`) };
    }
  }
}

function hasEnded({ exitCode, signalCode }: Subprocess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Line by line what each worker says, and once what all say. */
function merged(banners: readonly string[][]): string[] {
  const lines = banners[0]!.flatMap((_, i) => [...new Set(banners.map((banner) => banner[i]!))]);
  return [...lines, `  workers   ${banners.length}`];
}

/** A worker's line to its parent. */
export interface Line {
  /** Resolves when the worker is to stop: it is told so, or its parent is gone. */
  stopped: Promise<void>;
  ready(banner: string[]): Promise<void>;
  refused(why: string): Promise<void>;
}

/** @throws ConfigError in a process that no parent started as its worker */
export function lineToParent(): Line {
  if (!process.send) throw new ConfigError("--worker: only a parent starts workers: set CIM_WORKERS");
  const stopped = new Promise<void>((resolve) => {
    process.on("message", (message) => {
      if (message === STOP) resolve();
    });
    process.once("disconnect", resolve);
    process.once("SIGTERM", () => resolve());
  });
  // A terminal's ^C goes to all; the parent passes it on.
  process.on("SIGINT", () => undefined);
  const tell = (word: Word) =>
    new Promise<void>((resolve) => {
      if (process.connected) process.send!(word, undefined, undefined, () => resolve());
      else resolve();
    });
  return { stopped, ready: (ready) => tell({ ready }), refused: (refused) => tell({ refused }) };
}
