/** Sends what is said, and tells what became of each of it. */
import { ALL, p2p } from "../../proto/conversation.ts";
import { CimError } from "../../proto/status.ts";
import type { Client } from "../sdk/client.ts";
import type { Delayed, Event, Person, Said } from "./events.ts";
import { Mistake } from "./problem.ts";

export interface PostOptions {
  client: Client;
  show(event: Event): void;
  /** What was accepted, for the history. */
  keep(said: Said): void;
}

const USER_ID = /^[1-9]\d{0,15}$/;

export class Post {
  /** Messages that were refused, or have no receipt in time. */
  refused = 0;
  readonly #options: PostOptions;
  /** userIds of names that were looked up; neither ever changes. */
  readonly #known = new Map<string, number>();
  readonly #underWay = new Set<Promise<boolean>>();

  constructor(options: PostOptions) {
    this.#options = options;
  }

  /** Messages without an answer. */
  get pending(): number {
    return this.#underWay.size;
  }

  /** Resolves when there are fewer than `limit` without an answer. */
  async below(limit: number): Promise<void> {
    while (this.#underWay.size >= limit) await Promise.race(this.#underWay);
  }

  send(to: Person | null, text: string): void {
    const sending = this.#deliver(to, text, crypto.randomUUID());
    this.#underWay.add(sending);
    void sending.finally(() => this.#underWay.delete(sending));
  }

  /** Sends what was to be sent later. Answers whether that is final: accepted, or refused for good. */
  sendDelayed({ to, text, messageId }: Delayed): Promise<boolean> {
    return this.#deliver(to, text, messageId);
  }

  /** The receiver that was typed: a userId, or a name. @throws Mistake when there is no such user */
  async find(typed: string): Promise<Person> {
    const { client } = this.#options;
    const named = USER_ID.test(typed) ? { userId: Number(typed), userName: "" } : await this.#lookUp(typed);
    if (named.userId === client.userId) throw new Mistake({ what: "yourself" });
    return named;
  }

  conversationWith(to: Person | null): string {
    return to === null ? ALL : p2p(this.#options.client.userId, to.userId);
  }

  async #deliver(to: Person | null, text: string, messageId: string): Promise<boolean> {
    const { client, show, keep } = this.#options;
    if (client.state !== "Ready") show({ type: "queued", to, text });
    try {
      const receipt = await client.send(this.conversationWith(to), text, { messageId });
      const { conversation, seq, at, receiverOnline } = receipt;
      show({ type: "sent", to, text, conversation, seq, messageId, receiverOnline });
      const from = { userId: client.userId, userName: client.userName };
      keep({ conversation, seq, messageId, from, at: at.getTime(), own: true, text });
      return true;
    } catch (error) {
      if (!(error instanceof CimError)) throw error;
      this.refused++;
      show({ type: "refused", to, text, status: error.status, reason: error.message });
      return !error.retry;
    }
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
}
