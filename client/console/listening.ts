/** What reaches the console by itself: messages, outages, and new tokens of the session. */
import { parseConversation, peerOf } from "../../proto/conversation.ts";
import type { Client, Message, Status } from "../sdk/client.ts";
import { Backlog } from "./backlog.ts";
import type { Event, Said } from "./events.ts";
import type { People } from "./people.ts";

export interface ListeningOptions {
  client: Client;
  people: People;
  /** A person reads along, who wants to see the end of what was missed. */
  interactive: boolean;
  show(event: Event): void;
  /** For the history. */
  keep(said: Said): void;
  /** Called with each new token of the session. */
  remember(token: string): void;
}

export class Listening {
  readonly #options: ListeningOptions;
  readonly #backlog: Backlog;
  #connected = true;

  constructor(options: ListeningOptions) {
    const { show, interactive } = options;
    this.#options = options;
    this.#backlog = new Backlog({
      show: (said) => show({ type: "message", ...said }),
      skipped: (count) => show({ type: "skipped", count }),
    });
    if (interactive) this.#backlog.begin();
  }

  /** As far as it was told. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Resolves when the client has ended; never rejects but for a bug. */
  async run(): Promise<void> {
    await Promise.all([this.#messages(), this.#statuses()]);
  }

  async #messages(): Promise<void> {
    const { client, people, keep } = this.#options;
    for await (const message of client.messages) {
      people.learn(message.sender);
      const said = this.#said(message);
      keep(said);
      this.#backlog.add(said);
    }
    this.#backlog.end();
  }

  #said({ conversation, seq, messageId, sender, at, text, data, own }: Message): Said {
    const parsed = parseConversation(conversation);
    const to = own && parsed.kind === "p2p" && this.#options.people.withId(peerOf(parsed, sender.userId)!);
    const content = text === undefined ? { data: data?.toBase64() ?? "" } : { text };
    const where = { conversation, seq, messageId };
    return { ...where, from: sender, ...(to && { to }), at: at.getTime(), own, ...content };
  }

  async #statuses(): Promise<void> {
    const { client, remember } = this.#options;
    remember(client.token);
    for await (const status of client.status) {
      if (status.type === "token") remember(status.token);
      else if (status.type === "waiting") this.#disconnected(status);
      else if (status.state === "Ready") this.#reconnected();
    }
  }

  // Once for each outage, however many tries it takes.
  #disconnected({ reason, text, delayMs }: Status & { type: "waiting" }): void {
    if (this.#connected) this.#options.show({ type: "disconnected", reason, text, delayMs });
    this.#connected = false;
  }

  #reconnected(): void {
    if (this.#connected) return;
    this.#connected = true;
    this.#options.show({ type: "connected" });
    if (this.#options.interactive) this.#backlog.begin();
  }
}
