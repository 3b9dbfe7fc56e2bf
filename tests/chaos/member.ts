/** One client of a crowd: connected for as long as its process lives, keeping a journal of all it does. */

import { type Client, connect, type Message } from "../../client/sdk/client.ts";
import { websocket } from "../../client/sdk/websocket.ts";
import { backoffMs } from "../../common/backoff.ts";
import { ALL, p2p } from "../../proto/conversation.ts";
import { CimError } from "../../proto/status.ts";
import type { Entry, Journal } from "./journal.ts";

/** One device of an account. */
export interface Participant {
  /** In journals, and the beginning of its messageIds. */
  name: string;
  userId: number;
  userName: string;
  device: string;
}

export interface MemberOptions {
  routeUrl: string;
  who: Participant;
  journal: Journal;
  /** Milliseconds its application takes for each message. */
  slowMs: number;
  overWebSocket: boolean;
}

/** What an earlier process left behind: its journal, read again. */
export class Past {
  token: string | null = null;
  readonly cursors: Record<string, number> = {};
  /** Sent, and no word of what became of it: messageId → conversation. */
  readonly open = new Map<string, string>();
  sent = 0;

  add(entry: Entry): void {
    if (entry.is === "token") this.token = entry.token;
    else if (entry.is === "receives") this.cursors[entry.conversation] = entry.seq;
    else if (entry.is === "accepted" || entry.is === "failed") this.open.delete(entry.id);
    else if (entry.is === "sends") {
      this.sent++;
      this.open.set(entry.id, entry.conversation);
    }
  }
}

/** Short, so that a run sees many reconnects. */
const BACKOFF = { firstMs: 100, maxMs: 3000 };
/** A slow application keeps so few messages that the rest has to wait on the server. */
const MAX_UNREAD_SLOW = 20;
const ATTEMPTS = 1000;

export class Member {
  readonly #options: MemberOptions;
  readonly #past: Past;
  readonly #client: Client;
  readonly #underWay = new Set<Promise<void>>();

  private constructor(options: MemberOptions, past: Past, client: Client) {
    this.#options = options;
    this.#past = past;
    this.#client = client;
  }

  /** Connects with the token of its past, and sends again what has no outcome, with the same ids. */
  static async join(options: MemberOptions, past: Past): Promise<Member> {
    const { who, journal, routeUrl, slowMs, overWebSocket } = options;
    const client = await connect({
      routeUrl,
      userName: who.userName,
      device: who.device,
      token: past.token!,
      loginAttempts: ATTEMPTS,
      backoff: (attempt) => backoffMs(attempt, Math.random(), BACKOFF),
      // How far it got is the journal itself, in which a message stands before the SDK is told that it is done with.
      cursors: { load: async () => past.cursors, save: async () => {} },
      ...(overWebSocket && { transport: websocket }),
      ...(slowMs > 0 && { maxUnread: MAX_UNREAD_SLOW }),
    });
    const member = new Member(options, past, client);
    journal.write(who.name, { is: "token", token: client.token });
    journal.write(who.name, { is: "state", state: `Ready at port ${client.server.port}` });
    void member.#read();
    void member.#watch();
    for (const [id, conversation] of past.open) member.#send(conversation, id, 0);
    return member;
  }

  get userId(): number {
    return this.#options.who.userId;
  }

  get pending(): number {
    return this.#underWay.size;
  }

  sendTo(userId: number, padding: number): void {
    this.#sendNew(p2p(this.userId, userId), padding);
  }

  sendAll(padding: number): void {
    this.#sendNew(ALL, padding);
  }

  /** Resolves when each message sent has its outcome. */
  async quiet(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /** Logs out. */
  leave(): Promise<void> {
    return this.#client.close();
  }

  #sendNew(conversation: string, padding: number): void {
    const { who, journal } = this.#options;
    const id = `${who.name}.${this.#past.sent++}`;
    journal.write(who.name, { is: "sends", conversation, id });
    this.#send(conversation, id, padding);
  }

  #send(conversation: string, id: string, padding: number): void {
    const { who, journal } = this.#options;
    const text = `${id} ${"·".repeat(padding)}`;
    const sending = this.#client.send(conversation, text, { messageId: id }).then(
      ({ seq }) => journal.write(who.name, { is: "accepted", conversation, id, seq }),
      (error: Error) => {
        const why = error instanceof CimError ? `${error.code}: ${error.message}` : String(error);
        journal.write(who.name, { is: "failed", conversation, id, why });
      },
    );
    this.#underWay.add(sending);
    void sending.finally(() => this.#underWay.delete(sending));
  }

  async #read(): Promise<void> {
    const { who, journal, slowMs } = this.#options;
    for await (const message of this.#client.messages) {
      if (slowMs > 0) await Bun.sleep(slowMs);
      const { conversation, messageId: id, seq } = message;
      const wrong = problemOf(message);
      journal.write(who.name, { is: "receives", conversation, id, seq, ...(wrong && { wrong }) });
    }
  }

  async #watch(): Promise<void> {
    const { who, journal } = this.#options;
    for await (const status of this.#client.status) {
      if (status.type === "token") journal.write(who.name, { is: "token", token: status.token });
      else if (status.type === "waiting") {
        const state = `Reconnecting after ${status.delayMs} ms: ${status.reason}: ${status.text}`;
        journal.write(who.name, { is: "state", state });
      } else if (status.state === "Ready") {
        journal.write(who.name, { is: "state", state: `Ready at port ${this.#client.server.port}` });
      }
    }
    const { reason, text } = await this.#client.closed;
    if (reason !== "closed") journal.write(who.name, { is: "ended", why: `${reason}: ${text}` });
  }
}

/** The text begins with the message's id, and that with its sender's name, and the device if there are several. */
function problemOf({ text, messageId, sender }: Message): string | null {
  if (!/^[./]/.test(messageId.slice(sender.userName.length)) || !messageId.startsWith(sender.userName))
    return `from ${sender.userName}, by its id not from there`;
  return text?.startsWith(`${messageId} `) ? null : `its text begins with ${text?.slice(0, 40)}`;
}
