/** Sends what is said, and tells what became of each of it. */
import { ALL, p2p } from "../../proto/conversation.ts";
import { CimError } from "../../proto/status.ts";
import type { Client } from "../sdk/client.ts";
import type { Delayed, Event, Person, Said } from "./events.ts";
import { USER_ID } from "./line.ts";
import type { People } from "./people.ts";
import { Mistake } from "./problem.ts";

export interface PostOptions {
  client: Client;
  people: People;
  show(event: Event): void;
  /** What was accepted, for the history. */
  keep(said: Said): void;
  /** Takes a message that had no receipt when the client ended; answers whether it will be sent later. */
  postpone(unsent: Omit<Delayed, "id" | "at">): boolean;
}

export class Post {
  /** Messages that were refused, or have no receipt in time. */
  refused = 0;
  /** Messages that had no receipt at the end, and will be sent later. */
  postponed = 0;
  readonly #options: PostOptions;
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
    const sending = this.#deliver(to, text, crypto.randomUUID(), true);
    this.#underWay.add(sending);
    void sending.finally(() => this.#underWay.delete(sending));
  }

  /** Sends what was to be sent later. Answers whether that is final: accepted, or refused for good. */
  sendDelayed({ to, text, messageId }: Delayed): Promise<boolean> {
    return this.#deliver(to, text, messageId, false);
  }

  /** The receiver that was typed: a userId, or a name. @throws Mistake when there is no such user */
  async find(typed: string): Promise<Person> {
    const { client, people } = this.#options;
    const named = USER_ID.test(typed) ? people.withId(Number(typed)) : await this.#lookUp(typed);
    if (named.userId === client.userId) throw new Mistake({ what: "yourself" });
    return named;
  }

  conversationWith(to: Person | null): string {
    return to === null ? ALL : p2p(this.#options.client.userId, to.userId);
  }

  async #deliver(
    to: Person | null,
    text: string,
    messageId: string,
    mayBePostponed: boolean,
  ): Promise<boolean> {
    const { client, show, keep, postpone } = this.#options;
    const conversation = this.conversationWith(to);
    if (client.state !== "Ready") show({ type: "queued", to, text });
    try {
      const { seq, at, receiverOnline } = await client.send(conversation, text, { messageId });
      show({ type: "sent", to, text, conversation, seq, messageId, receiverOnline });
      const from = { userId: client.userId, userName: client.userName };
      keep({ conversation, seq, messageId, from, at: at.getTime(), own: true, text, ...(to && { to }) });
      return true;
    } catch (error) {
      if (!(error instanceof CimError)) throw error;
      const isOver = error.status === "RECONNECT_FAILED";
      if (isOver && mayBePostponed && postpone({ conversation, to, text, messageId })) {
        this.postponed++;
        return false;
      }
      this.refused++;
      show({ type: "refused", to, text, status: error.status, reason: error.message });
      return !error.retry;
    }
  }

  async #lookUp(name: string): Promise<Person> {
    const { client, people } = this.#options;
    const known = people.named(name);
    if (known) return known;
    const found = await client.findUser(name).catch((error) => {
      // A name that nobody can have.
      if (error instanceof CimError && error.status === "INVALID") return null;
      throw error;
    });
    if (!found) throw new Mistake({ what: "no-such-user", name });
    people.learn(found);
    return found;
  }
}
