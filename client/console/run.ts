/** A console from its start to its end. */
import { ConfigError } from "../../common/config.ts";
import { version } from "../../package.json" with { type: "json" };
import { Chat } from "./chat.ts";
import { configFile, dataFile } from "./files.ts";
import { helpText } from "./help.ts";
import { History } from "./history.ts";
import { Failure, Login } from "./login.ts";
import { type Options, readOptions, spoken } from "./options.ts";
import { Remembered } from "./remembered.ts";
import { openScreen, type Screen, type Streams } from "./screen.ts";
import { LANGUAGES } from "./texts/language.ts";
import type { Texts } from "./texts/texts.ts";

export interface Surroundings extends Streams {
  env: Record<string, string | undefined>;
  stderr: { write(text: string): unknown };
  /** Ends the console as if the person had quit. */
  signal: AbortSignal;
}

/** @returns the exit code: 0 when the person quit or the input ended, 1 after one line on stderr */
export async function runConsole(argv: string[], surroundings: Surroundings): Promise<number> {
  const { stdout, stderr, env } = surroundings;
  try {
    const options = readOptions(argv, env);
    if (options === "help" || options === "version") {
      stdout.write(
        `${options === "help" ? helpText(version, spoken(argv, env).texts) : `cim-client ${version}`}\n`,
      );
      return 0;
    }
    return await new Console(options, surroundings).run();
  } catch (error) {
    // The file system's own words name the file: no permission, no space.
    const ofFiles = error instanceof Error && "syscall" in error;
    if (!(error instanceof ConfigError || error instanceof Failure || ofFiles)) throw error;
    stderr.write(`cim-client: ${error.message}\n`);
    return 1;
  }
}

class Console {
  readonly #options: Options;
  readonly #env: Surroundings["env"];
  readonly #texts: Texts;
  readonly #screen: Screen;
  readonly #remembered: Remembered;
  readonly #signal: AbortSignal;

  constructor(options: Options, { env, stdin, stdout, signal }: Surroundings) {
    this.#options = options;
    this.#env = env;
    this.#signal = signal;
    this.#texts = LANGUAGES[options.language];
    const colors = stdout.isTTY === true && !env.NO_COLOR;
    this.#screen = openScreen({ stdin, stdout, texts: this.#texts, json: options.json, colors });
    this.#remembered = new Remembered(configFile(env, options));
  }

  async run(): Promise<number> {
    const { route, user, device, ai } = this.#options;
    const isOurs = this.#remembered.take();
    try {
      const parts = { options: this.#options, screen: this.#screen, texts: this.#texts };
      const login = new Login({ ...parts, token: this.#remembered.token() });
      const loggedIn = await Promise.race([login.run(), aborted(this.#signal)]);
      if (loggedIn === null) return 0;
      const { client, registered } = loggedIn;
      if (!isOurs) this.#screen.show({ type: "problem", problem: { what: "in-use", name: user } });
      const history = new History(dataFile(this.#env, this.#options, "history.jsonl"));
      const who = { userId: client.userId, userName: client.userName };
      this.#screen.show({ type: "ready", user: who, route, registered });
      const chat = new Chat({
        client,
        screen: this.#screen,
        history,
        delaysFile: dataFile(this.#env, this.#options, "delays.json"),
        route,
        device,
        ai,
        remember: (token) => this.#remembered.remember(token, { route, user, device }),
        forget: () => this.#remembered.forget(),
        signal: this.#signal,
      });
      const { closed, failures } = await chat.run();
      if (closed) {
        this.#remembered.forget();
        throw new Failure(this.#texts.closed(closed.reason, closed.text));
      }
      if (failures > 0 && !this.#screen.interactive) throw new Failure(this.#texts.failedLines(failures));
      return 0;
    } finally {
      this.#screen.close();
      this.#remembered.release();
    }
  }
}

/** Resolves when the signal is, or was, aborted. */
function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener("abort", () => resolve(null), { once: true });
  });
}
