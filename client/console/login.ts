/** From a name to a client that is connected: with what is remembered, with a password, or as a new name. */
import { CimError } from "../../proto/status.ts";
import { type Client, type ConnectOptions, connect } from "../sdk/client.ts";
import type { Options } from "./options.ts";
import type { Problem } from "./problem.ts";
import type { Screen } from "./screen.ts";
import type { Texts } from "./texts/texts.ts";

/** Ends the console with one line, in the person's language. */
export class Failure extends Error {}

export interface LoginParts {
  options: Options;
  screen: Screen;
  texts: Texts;
  /** Of the session of an earlier start. */
  token: string | undefined;
}

export interface LoggedIn {
  client: Client;
  registered: boolean;
}

type Credentials = Pick<ConnectOptions, "token" | "password" | "register">;

/** As the route wants it. */
const MIN_PASSWORD_LENGTH = 8;
/** Passwords that a person may get wrong before it is called off. */
const MAX_TRIES = 3;
/** A person waits so long without a word. */
const SILENT_MS = 700;
/** A person's line waits for a connection as long as it takes; a script is told after the SDK's own time. */
const PATIENCE_MS = 24 * 60 * 60 * 1000;

export class Login {
  readonly #parts: LoginParts;

  constructor(parts: LoginParts) {
    this.#parts = parts;
  }

  /** @throws Failure when there is no way in */
  async run(): Promise<LoggedIn> {
    const { options, screen, token, texts } = this.#parts;
    const { password } = options;
    if (options.newPassword && !screen.interactive) throw new Failure(texts.needsTerminal("--new-password"));
    const client = await this.#connect({ token, password });
    const loggedIn = client
      ? { client, registered: false }
      : await (screen.interactive && password === undefined ? this.#ask() : this.#asNew(password));
    if (options.newPassword && !loggedIn.registered) {
      await this.#change(loggedIn.client).catch(async (error) => {
        await loggedIn.client.detach();
        throw error;
      });
    }
    return loggedIn;
  }

  async #change(client: Client): Promise<void> {
    const { screen, texts } = this.#parts;
    for (;;) {
      const old = (await this.#answer(texts.oldPassword, true)) || undefined;
      const chosen = await this.#chosen(await this.#answer(texts.newPassword, true));
      if (!chosen) throw new Failure(texts.calledOff);
      try {
        await client.changePassword(chosen, old);
        screen.show({ type: "password-changed" });
        return;
      } catch (error) {
        if (!(error instanceof CimError)) throw error;
        if (error.status !== "ACCOUNT_MISMATCH") throw new Failure(texts.status(error.status, error.message));
        this.#say({ what: "old-password" });
      }
    }
  }

  /** The password is given, or nobody is there to be asked. */
  async #asNew(password: string | undefined): Promise<LoggedIn> {
    const { options, screen, texts } = this.#parts;
    const { user } = options;
    if (screen.interactive && !(await this.#agrees())) throw new Failure(texts.notRegistered(user));
    const client = await this.#connect({ password, register: true });
    if (client) return { client, registered: true };
    throw new Failure(password === undefined ? texts.noPassword(user) : texts.wrongPassword(user));
  }

  async #ask(): Promise<LoggedIn> {
    const { options, texts } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      const password = (await this.#answer(texts.password, true)) || undefined;
      const known = await this.#connect({ password });
      if (known) return { client: known, registered: false };
      const isLast = attempt === MAX_TRIES;
      if (!(await this.#agrees())) {
        if (isLast) throw new Failure(texts.notRegistered(options.user));
        continue;
      }
      const chosen = await this.#chosen(password);
      const client = await this.#connect({ password: chosen, register: true });
      if (client) return { client, registered: true };
      const refusal = chosen === undefined ? texts.noPassword : texts.wrongPassword;
      if (isLast) throw new Failure(refusal(options.user));
      this.#say({ what: chosen === undefined ? "no-password" : "name-taken", name: options.user });
    }
  }

  /** A password for a new name, typed twice; without one, as an account under CIM_AUTH=open may be, it stays so. */
  async #chosen(first: string | undefined): Promise<string | undefined> {
    const { texts } = this.#parts;
    let password = first;
    while (password !== undefined) {
      const tooShort = isShort(password);
      if (!tooShort && (await this.#answer(texts.passwordAgain, true)) === password) return password;
      this.#say(
        tooShort ? { what: "short-password", min: MIN_PASSWORD_LENGTH } : { what: "passwords-differ" },
      );
      password = (await this.#answer(texts.newPassword, true)) || undefined;
    }
    return undefined;
  }

  async #agrees(): Promise<boolean> {
    const { options, texts } = this.#parts;
    return texts.yes.test((await this.#answer(texts.askRegister(options.user), false)).trim());
  }

  async #answer(question: string, hidden: boolean): Promise<string> {
    const answer = await this.#parts.screen.ask(question, hidden);
    if (answer === null) throw new Failure(this.#parts.texts.calledOff);
    return answer;
  }

  #say(problem: Problem): void {
    this.#parts.screen.show({ type: "problem", problem });
  }

  /** Null when the name or its password is not known. @throws Failure for anything else that went wrong */
  async #connect(credentials: Credentials): Promise<Client | null> {
    const { options, screen, texts } = this.#parts;
    const { route, user, device } = options;
    const patience = screen.interactive && { sendTimeoutMs: PATIENCE_MS };
    const waiting =
      screen.interactive && setTimeout(() => screen.show({ type: "connecting", route }), SILENT_MS);
    try {
      return await connect({ routeUrl: route, userName: user, device, ...patience, ...credentials });
    } catch (error) {
      if (!(error instanceof CimError)) throw error;
      const { status } = error;
      const refused = status === "ACCOUNT_MISMATCH" || status === "UNAUTHORIZED" || status === "FORBIDDEN";
      if (refused) return null;
      const { password } = credentials;
      // `password` mode registers nobody without one, and no mode with a short one.
      if (status === "INVALID" && credentials.register) {
        if (!password) return null;
        if (isShort(password)) throw new Failure(texts.shortPassword(user, MIN_PASSWORD_LENGTH));
      }
      if (status === "REPEAT_LOGIN") throw new Failure(texts.repeatLogin(user));
      throw new Failure(texts.status(status, error.message));
    } finally {
      if (waiting) clearTimeout(waiting);
    }
  }
}

function isShort(password: string): boolean {
  return [...password].length < MIN_PASSWORD_LENGTH;
}
