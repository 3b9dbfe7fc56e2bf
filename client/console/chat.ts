/** A person, or a script, at a client that is connected: lines in, events out. */
import { CimError } from "../../proto/status.ts";
import type { Client, Closed } from "../sdk/client.ts";
import { Ai } from "./ai.ts";
import { COMMANDS, type Context, isCommand } from "./commands.ts";
import { complete, peopleStartingWith } from "./completion.ts";
import { Delays } from "./delays.ts";
import type { Delayed, Event, Info, Said } from "./events.ts";
import type { History } from "./history.ts";
import { parseLine } from "./line.ts";
import { Listening } from "./listening.ts";
import type { ModelOptions } from "./model.ts";
import { People } from "./people.ts";
import { Post } from "./post.ts";
import { Mistake, type Problem } from "./problem.ts";
import type { Screen } from "./screen.ts";

export interface ChatOptions {
  client: Client;
  screen: Screen;
  history: History;
  delaysFile: string;
  route: string;
  device: string;
  /** Who answers in AI mode; when not set, the built-in bot. */
  ai?: ModelOptions;
  /** Called with each new token of the session. */
  remember(token: string): void;
  forget(): void;
  /** Ends it as if the person had quit. */
  signal: AbortSignal;
}

/** How a chat ended. */
export interface Outcome {
  /** Why the client ended; null when the person quit or the input ended. */
  closed: Closed | null;
  /** Lines that came to nothing. */
  failures: number;
}

/** Messages of a pipe that may be without receipt before its next line is read. */
const MAX_PENDING = 100;
/** How long quitting waits for receipts. */
const QUIT_MS = 2 * 1000;
const PROMPT = "> ";
const BOT_PROMPT = "AI> ";

export class Chat {
  readonly #options: ChatOptions;
  readonly #people: People;
  readonly #post: Post;
  readonly #delays: Delays;
  readonly #context: Context;
  readonly #end = Promise.withResolvers<Closed | null>();
  readonly #ai: Ai;
  readonly #listening: Listening;
  #hasQuit = false;
  /** Lines that were not understood, or could not be done. */
  #mistakes = 0;

  constructor(options: ChatOptions) {
    this.#options = options;
    const { client, history, remember } = options;
    const show = (event: Event) => options.screen.show(event);
    const people = new People(() => history.people());
    const keep = (said: Said) => this.#trying(() => history.add(said));
    const post = new Post({
      client,
      people,
      show,
      keep,
      postpone: (unsent) => this.#postpone(unsent),
    });
    const delays = new Delays(options.delaysFile, {
      send: (delayed) => post.sendDelayed(delayed),
      failed: (error) => this.#complain(error),
    });
    this.#ai = new Ai(options.ai, show);
    this.#listening = new Listening({
      client,
      people,
      interactive: options.screen.interactive,
      show,
      keep,
      remember: (token) => this.#trying(() => remember(token)),
    });
    this.#people = people;
    this.#post = post;
    this.#delays = delays;
    this.#context = {
      client,
      history,
      delays,
      people,
      post,
      show,
      talkToBot: (on) => this.#ai.talk(on),
      info: () => this.#info(),
      quit: () => this.#quit(),
      logOut: () => this.#logOut(),
    };
  }

  /** Resolves when the person quits, the input ends, or the client does. */
  async run(): Promise<Outcome> {
    const { client, signal } = this.#options;
    const failed = (bug: unknown) => this.#end.reject(bug);
    signal.addEventListener("abort", () => this.#end.resolve(null));
    this.#listening.run().catch(failed);
    this.#readLines().then(() => this.#end.resolve(null), failed);
    void client.closed.then((closed) => this.#end.resolve(closed));
    const closed = await this.#ended();
    return {
      closed: closed?.reason === "closed" ? null : closed,
      failures: this.#mistakes + this.#post.refused,
    };
  }

  async #ended(): Promise<Closed | null> {
    try {
      return await this.#end.promise;
    } finally {
      await this.#leave();
    }
  }

  async #leave(): Promise<void> {
    const { client, screen } = this.#options;
    this.#delays.end();
    this.#ai.end();
    screen.close();
    if (client.state === "Ready") await Promise.race([this.#post.below(1), Bun.sleep(QUIT_MS)]);
    // The session stays, so that the next start asks nothing.
    await client.detach();
    await this.#post.below(1);
    if (this.#post.postponed > 0) this.#show({ type: "kept", count: this.#post.postponed });
  }

  /** A script is told that it was not sent, and may try again; a person should not have to. */
  #postpone(unsent: Omit<Delayed, "id" | "at">): boolean {
    if (!this.#options.screen.interactive) return false;
    try {
      this.#delays.add({ ...unsent, at: Date.now() });
      return true;
    } catch (error) {
      this.#complain(error);
      return false;
    }
  }

  async #readLines(): Promise<void> {
    const { screen } = this.#options;
    const commands = Object.keys(COMMANDS).map((name) => `:${name}`);
    const people = (prefix: string) => peopleStartingWith(prefix, this.#people, this.#options.client);
    const typing = {
      complete: (typed: string) => complete(typed, { commands, people }),
      interrupt: () => this.#ai.stop(),
    };
    for await (const line of screen.lines(typing)) {
      // Whoever types, if it is only Enter, does not want to wait for the next try.
      if (screen.interactive && !this.#listening.connected) this.#options.client.hurry();
      await this.#take(line);
      if (this.#hasQuit) return;
      if (screen.interactive) this.#prompt();
      else await this.#post.below(MAX_PENDING);
    }
    // A script is done when each message has its answer.
    if (!screen.interactive) await this.#post.below(1);
  }

  async #take(line: string): Promise<void> {
    try {
      const parsed = parseLine(line, this.#ai.on ? "question" : "talk");
      if (parsed.kind === "nothing") return;
      if (parsed.kind === "command") await this.#command(parsed.name, parsed.rest);
      else if (this.#ai.on) await this.#ask(parsed.text);
      else this.#post.send(parsed.kind === "tell" ? await this.#post.find(parsed.to) : null, parsed.text);
    } catch (error) {
      this.#mistakes++;
      this.#complain(error);
    }
  }

  /** A person types on meanwhile; a script's next line waits for the whole answer. */
  async #ask(question: string): Promise<void> {
    const { screen, ai } = this.#options;
    // Some models think for long.
    if (screen.interactive && ai) this.#show({ type: "asked", model: ai.model });
    const asked = this.#ai.ask(question);
    if (!screen.interactive) return asked;
    void asked.catch((error) => this.#complain(error));
  }

  /** One line says it, and everything goes on. */
  #complain(error: unknown): void {
    this.#show({ type: "problem", problem: problemOf(error) });
  }

  async #command(name: string, rest: string): Promise<void> {
    if (isCommand(name)) return COMMANDS[name](this.#context, rest);
    this.#mistakes++;
    this.#complain(new Mistake({ what: "unknown-command", name }));
  }

  /** What cannot be kept is shown, and goes on, all the same. */
  #trying(keep: () => void): void {
    try {
      keep();
    } catch (error) {
      this.#complain(error);
    }
  }

  async #logOut(): Promise<void> {
    const { client, forget } = this.#options;
    await client.close();
    forget();
    this.#show({ type: "forgotten" });
    this.#quit();
  }

  #quit(): void {
    this.#hasQuit = true;
    this.#end.resolve(null);
  }

  #info(): Info {
    const { client, route, device, history } = this.#options;
    const { host, port } = client.server;
    return {
      user: { userId: client.userId, userName: client.userName },
      device,
      state: client.state,
      route,
      server: `${host}:${port}`,
      sessionId: client.sessionId,
      pending: client.pending,
      delays: this.#delays.waiting.length,
      history: history.file,
    };
  }

  #prompt(): void {
    this.#options.screen.prompt(this.#ai.on ? BOT_PROMPT : PROMPT);
  }

  #show(event: Event): void {
    this.#options.screen.show(event);
  }
}

function problemOf(error: unknown): Problem {
  if (error instanceof Mistake) return error.problem;
  if (error instanceof CimError) return { what: "failed", status: error.status, reason: error.message };
  // No space, no permission: the file system's own words name the file.
  if (error instanceof Error && "syscall" in error) return { what: "file", reason: error.message };
  throw error;
}
