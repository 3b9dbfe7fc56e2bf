/** A console from its start to its end. */
import { ConfigError } from "../../common/config.ts";
import { version } from "../../package.json" with { type: "json" };
import { CimError } from "../../proto/status.ts";
import { type Client, type ConnectOptions, connect } from "../sdk/client.ts";
import { Chat } from "./chat.ts";
import { configFile, dataFile } from "./files.ts";
import { History } from "./history.ts";
import { helpText, type Options, readOptions } from "./options.ts";
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
      stdout.write(`${options === "help" ? helpText(version) : `cim-client ${version}`}\n`);
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

/** Ends the console with one line, in the person's language. */
class Failure extends Error {}

class Console {
  readonly #options: Options;
  readonly #env: Surroundings["env"];
  readonly #texts: Texts;
  readonly #screen: Screen;
  readonly #remembered: Remembered;
  readonly #signal: AbortSignal;
  #registered = false;

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
      const client = await Promise.race([this.#logIn(), aborted(this.#signal)]);
      if (client === null) return 0;
      if (!isOurs) this.#screen.show({ type: "problem", problem: { what: "in-use", name: user } });
      const history = new History(dataFile(this.#env, this.#options, "history.jsonl"));
      const who = { userId: client.userId, userName: client.userName };
      this.#screen.show({ type: "ready", user: who, route, registered: this.#registered });
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

  /** With the session of an earlier start, without a password where none is needed, with it, as a new name. */
  async #logIn(): Promise<Client> {
    const { user, password: given } = this.#options;
    const token = this.#remembered.token();
    const known = await this.#connect({ token, password: given });
    if (known) return known;
    const password = given ?? (await this.#askPassword());
    const client = given === undefined && password !== undefined ? await this.#connect({ password }) : null;
    if (client) return client;
    await this.#agreeToRegister(password);
    this.#registered = true;
    const registered = await this.#connect({ password, register: true });
    if (registered) return registered;
    throw new Failure(
      password === undefined ? this.#texts.noPassword(user) : this.#texts.wrongPassword(user),
    );
  }

  /** Null when the name or its password is not known. @throws Failure for anything else that went wrong */
  async #connect(
    credentials: Pick<ConnectOptions, "token" | "password" | "register">,
  ): Promise<Client | null> {
    const { route, user, device } = this.#options;
    try {
      return await connect({ routeUrl: route, userName: user, device, ...credentials });
    } catch (error) {
      if (!(error instanceof CimError)) throw error;
      const { status } = error;
      const refused = status === "ACCOUNT_MISMATCH" || status === "UNAUTHORIZED" || status === "FORBIDDEN";
      if (refused) return null;
      // `password` mode registers nobody without one.
      if (status === "INVALID" && credentials.register && !credentials.password) return null;
      if (status === "REPEAT_LOGIN") throw new Failure(this.#texts.repeatLogin(user));
      throw new Failure(this.#texts.status(status, error.message));
    }
  }

  async #askPassword(): Promise<string | undefined> {
    if (!this.#screen.interactive) return undefined;
    return (await this.#ask(this.#texts.password, true)) || undefined;
  }

  async #ask(question: string, hidden = false): Promise<string> {
    const answer = await this.#screen.ask(question, hidden);
    if (answer === null) throw new Failure(this.#texts.calledOff);
    return answer;
  }

  async #agreeToRegister(password: string | undefined): Promise<void> {
    const { user } = this.#options;
    if (!this.#screen.interactive) return;
    const agreed = await this.#ask(this.#texts.askRegister(user));
    if (!this.#texts.yes.test(agreed.trim())) throw new Failure(this.#texts.notRegistered(user));
    if (password === undefined || this.#options.password !== undefined) return;
    if ((await this.#ask(this.#texts.passwordAgain, true)) !== password) {
      throw new Failure(this.#texts.passwordsDiffer);
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
