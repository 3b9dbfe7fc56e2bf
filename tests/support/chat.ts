/** Users of the SDK, as tests need them: joined with a few words, and read to the end of what they expect. */
import { type Client, type ConnectOptions, connect, type Message } from "../../client/sdk/client.ts";
import type { System } from "./system.ts";
import { until } from "./until.ts";

export const PASSWORD = "correct horse battery";
const RETRY_MS = 50;

/** Registers the name if need be, and connects; tries again and again without waiting long. */
export function join(
  system: Pick<System, "routeUrl">,
  userName: string,
  options: Partial<ConnectOptions> = {},
): Promise<Client> {
  return connect({
    routeUrl: system.routeUrl,
    userName,
    password: PASSWORD,
    register: true,
    loginAttempts: 100,
    backoff: () => RETRY_MS,
    ...options,
  });
}

/** Reads a client's messages as they come. */
export class Reader {
  readonly messages: Message[] = [];

  constructor(readonly client: Client) {
    void this.#read();
  }

  get texts(): string[] {
    return this.messages.map((message) => message.text ?? "");
  }

  /** Resolves once it has read this many in all; answers their texts. */
  async count(count: number, deadlineMs?: number): Promise<string[]> {
    await until(
      `${this.client.userName} reads ${count} messages`,
      () => this.messages.length >= count,
      deadlineMs,
    );
    return this.texts;
  }

  async #read(): Promise<void> {
    for await (const message of this.client.messages) this.messages.push(message);
  }
}

/** Sends one message after another, a few at a time, until it is stopped or one is refused. */
export class Load {
  /** Accepted: text → seq. */
  readonly accepted = new Map<string, number>();
  readonly refused: unknown[] = [];
  #stopped = false;
  readonly #done: Promise<unknown>;

  constructor(
    readonly client: Client,
    conversation: string,
    atOnce = 10,
  ) {
    let next = 0;
    const sender = async () => {
      while (!this.#stopped) {
        const text = `${client.userName} ${next++}`;
        try {
          this.accepted.set(text, (await client.send(conversation, text)).seq);
        } catch (error) {
          this.refused.push(error);
          return;
        }
      }
    };
    this.#done = Promise.all(Array.from({ length: atOnce }, sender));
  }

  /** Resolves when each message has its answer. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }
}

/** What everyone who listens must have read: everything accepted, by seq. */
export function inOrder(loads: readonly Load[]): { seq: number; text: string }[] {
  return loads
    .flatMap((load) => Array.from(load.accepted, ([text, seq]) => ({ seq, text })))
    .sort((a, b) => a.seq - b.seq);
}
