/** A person, or a script, at a client that is connected: lines in, events out. */
import { ALL, p2p } from "../../proto/conversation.ts";
import { CimError } from "../../proto/status.ts";
import type { Client, Closed, Message } from "../sdk/client.ts";
import { answer } from "./bot.ts";
import { COMMANDS, type Context, commandList, isCommand } from "./commands.ts";
import { Delays } from "./delays.ts";
import type { Delayed, Event, Info, Person, Said } from "./events.ts";
import type { History } from "./history.ts";
import { parseLine } from "./line.ts";
import { Mistake, type Problem } from "./problem.ts";
import type { Screen } from "./screen.ts";

export interface ChatOptions {
  client: Client;
  screen: Screen;
  history: History;
  delaysFile: string;
  route: string;
  device: string;
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
const USER_ID = /^[1-9]\d{0,15}$/;
const PROMPT = "> ";
const BOT_PROMPT = "AI> ";

export class Chat {
  readonly #options: ChatOptions;
  readonly #delays: Delays;
  readonly #context: Context;
  /** userIds of names that were looked up; neither ever changes. */
  readonly #known = new Map<string, number>();
  readonly #sending = new Set<Promise<unknown>>();
  readonly #end = Promise.withResolvers<Closed | null>();
  #bot = false;
  #connected = true;
  #hasQuit = false;
  #failures = 0;

  constructor(options: ChatOptions) {
    this.#options = options;
    this.#delays = new Delays(options.delaysFile, (delayed) => this.#sendDelayed(delayed));
    this.#context = {
      client: options.client,
      history: options.history,
      delays: this.#delays,
      show: (event) => this.#show(event),
      find: (typed) => this.#find(typed),
      conversationWith: (to) => this.#conversationWith(to),
      talkToBot: (on) => this.#talkToBot(on),
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
    this.#readMessages().catch(failed);
    this.#watchStatus().catch(failed);
    this.#readLines().then(() => this.#end.resolve(null), failed);
    void client.closed.then((closed) => this.#end.resolve(closed));
    try {
      const closed = await this.#end.promise;
      return { closed: closed?.reason === "closed" ? null : closed, failures: this.#failures };
    } finally {
      await this.#leave();
    }
  }

  async #leave(): Promise<void> {
    const { client, screen } = this.#options;
    this.#delays.end();
    screen.close();
    if (client.state === "Ready") await Promise.race([Promise.all(this.#sending), Bun.sleep(QUIT_MS)]);
    // The session stays, so that the next start asks nothing.
    await client.detach();
    await Promise.all(this.#sending);
  }

  async #readLines(): Promise<void> {
    const { screen } = this.#options;
    for await (const line of screen.lines(Object.keys(COMMANDS).map((name) => `:${name}`))) {
      await this.#take(line);
      if (this.#hasQuit) return;
      if (screen.interactive) this.#prompt();
      else while (this.#sending.size >= MAX_PENDING) await Promise.race(this.#sending);
    }
    // A script is done when each message has its answer.
    if (!screen.interactive) await Promise.all(this.#sending);
  }

  async #take(line: string): Promise<void> {
    try {
      const parsed = parseLine(line);
      if (parsed.kind === "nothing") return;
      if (parsed.kind === "command") await this.#command(parsed.name, parsed.rest);
      else if (this.#bot) this.#show({ type: "answer", text: answer(line) });
      else this.#send(parsed.kind === "tell" ? await this.#find(parsed.to) : null, parsed.text);
    } catch (error) {
      this.#failed(problemOf(error));
    }
  }

  #failed(problem: Problem): void {
    this.#failures++;
    this.#show({ type: "problem", problem });
  }

  async #command(name: string, rest: string): Promise<void> {
    if (isCommand(name)) return COMMANDS[name](this.#context, rest);
    this.#failed({ what: "unknown-command", name });
    this.#show(commandList());
  }

  #send(to: Person | null, text: string): void {
    const sending = this.#deliver(to, text, crypto.randomUUID())
      .catch((bug) => this.#end.reject(bug))
      .finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  /** Sends, and shows what came of it. Answers whether that is final. */
  async #deliver(to: Person | null, text: string, messageId: string): Promise<boolean> {
    const { client } = this.#options;
    const conversation = this.#conversationWith(to);
    if (client.state !== "Ready") this.#show({ type: "queued", to, text });
    try {
      const { seq, at, receiverOnline } = await client.send(conversation, text, { messageId });
      this.#show({ type: "sent", to, text, conversation, seq, messageId, receiverOnline });
      const from = { userId: client.userId, userName: client.userName };
      this.#keep({ conversation, seq, messageId, from, at: at.getTime(), own: true, text });
      return true;
    } catch (error) {
      if (!(error instanceof CimError)) throw error;
      this.#failures++;
      this.#show({ type: "refused", to, text, status: error.status, reason: error.message });
      return !error.retry;
    }
  }

  #sendDelayed({ to, text, messageId }: Delayed): Promise<boolean> {
    return this.#deliver(to, text, messageId);
  }

  async #find(typed: string): Promise<Person> {
    const { client } = this.#options;
    const named = USER_ID.test(typed) ? { userId: Number(typed), userName: "" } : await this.#lookUp(typed);
    if (named.userId === client.userId) throw new Mistake({ what: "yourself" });
    return named;
  }

  async #lookUp(name: string): Promise<Person> {
    const known = this.#known.get(name);
    if (known !== undefined) return { userId: known, userName: name };
    const found = await this.#options.client.findUser(name).catch((error) => {
      // A name that nobody can have.
      if (error instanceof CimError && error.status === "INVALID") return null;
      throw error;
    });
    if (!found) throw new Mistake({ what: "no-such-user", name });
    this.#known.set(name, found.userId);
    return found;
  }

  #conversationWith(to: Person | null): string {
    return to === null ? ALL : p2p(this.#options.client.userId, to.userId);
  }

  async #readMessages(): Promise<void> {
    for await (const message of this.#options.client.messages) {
      const said = toSaid(message);
      this.#keep(said);
      this.#show({ type: "message", ...said });
    }
  }

  /** What cannot be kept is shown all the same. */
  #keep(said: Said): void {
    try {
      this.#options.history.add(said);
    } catch (error) {
      this.#show({ type: "problem", problem: problemOf(error) });
    }
  }

  async #watchStatus(): Promise<void> {
    const { client, remember } = this.#options;
    remember(client.token);
    for await (const status of client.status) {
      if (status.type === "token") remember(status.token);
      else if (status.type === "waiting") this.#disconnected(status);
      else if (status.state === "Ready") this.#reconnected();
    }
  }

  // Once for each outage, however many tries it takes.
  #disconnected({ reason, text, delayMs }: { reason: string; text: string; delayMs: number }): void {
    if (this.#connected) this.#show({ type: "disconnected", reason, text, delayMs });
    this.#connected = false;
  }

  #reconnected(): void {
    if (!this.#connected) this.#show({ type: "connected" });
    this.#connected = true;
  }

  #talkToBot(on: boolean): void {
    this.#bot = on;
    this.#show({ type: "ai", on });
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
    this.#options.screen.prompt(this.#bot ? BOT_PROMPT : PROMPT);
  }

  #show(event: Event): void {
    this.#options.screen.show(event);
  }
}

function toSaid({ conversation, seq, messageId, sender, at, text, data, own }: Message): Said {
  const rest = text === undefined ? { data: data?.toBase64() ?? "" } : { text };
  return { conversation, seq, messageId, from: sender, at: at.getTime(), own, ...rest };
}

function problemOf(error: unknown): Problem {
  if (error instanceof Mistake) return error.problem;
  if (error instanceof CimError) return { what: "failed", status: error.status, reason: error.message };
  // No space, no permission: the file system's own words name the file.
  if (error instanceof Error && "syscall" in error) return { what: "file", reason: error.message };
  throw error;
}
