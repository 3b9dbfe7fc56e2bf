/** The chat behind the page: who is signed in, and how it stands with the connection. Knows no DOM. */
import { backoffMs } from "../../common/backoff.ts";
import { CimError } from "../../proto/status.ts";
import { type Client, connect } from "../sdk/client.ts";
import type { Closed, ConnectOptions, Status, User } from "../sdk/types.ts";
import { Conversations } from "./conversations.ts";
import type { Memory } from "./memory.ts";
import { People } from "./people.ts";

export interface ChatOptions {
  routeUrl: string;
  memory: Memory;
  /** Something is to be shown anew. */
  changed: () => void;
  /** Handed on to the SDK: transport, clock, backoff. */
  sdk?: Partial<ConnectOptions>;
}

/** How it stands with the connection. */
export type Link =
  | { state: "connecting" }
  | { state: "ready" }
  /** Lost: `until` says when it is tried again, as Date.now() counts. */
  | { state: "waiting"; until: number; reason: string }
  /** The session goes on in another tab of this browser, or was taken by another device. */
  | { state: "elsewhere"; where: "tab" | "device" };

export interface Credentials {
  userName: string;
  password: string;
  create: boolean;
  /** Whether the session outlives the tab. */
  forLong: boolean;
}

/** A message waits for its connection as long as the page lives. */
const SEND_TIMEOUT_MS = 14 * 24 * 60 * 60 * 1000;
const SIGN_IN_ATTEMPTS = 3;
/** Whoever is noticed makes the page ask who else is online, at most this often. */
const NOTICE_MS = 2 * 1000;

export class Chat {
  readonly people = new People();
  readonly conversations: Conversations;
  me: User | null = null;
  link: Link = { state: "connecting" };
  /** Why nobody is signed in any more, if somebody was. */
  over: Closed | null = null;
  readonly #options: ChatOptions;
  #client: Client | null = null;
  /** Tells one attempt to be connected from those before it. */
  #attempt = 0;
  #endWait: () => void = () => {};
  /** Whether somebody was noticed, and the others are about to be asked for. */
  #noticing = false;

  constructor(options: ChatOptions) {
    const { memory, changed } = options;
    this.#options = options;
    const noticed = (userId: number, online: boolean) => this.#noticed(userId, online);
    this.conversations = new Conversations({ memory, changed, noticed });
  }

  /** Takes up the remembered session, if there is one. */
  async start(): Promise<void> {
    const { session } = this.#options.memory;
    if (!session) return;
    this.#enter(session);
    await this.resume();
  }

  /**
   * Takes the session up, or back from another tab or device, however long that takes. Where it is refused, nobody is
   * signed in any more.
   */
  async resume(): Promise<void> {
    const { memory, changed } = this.#options;
    const { session } = memory;
    if (!session) return this.#leave({ reason: "logged_out", text: "" });
    const attempt = ++this.#attempt;
    this.link = { state: "connecting" };
    changed();
    for (let round = 0; attempt === this.#attempt; round++) {
      const { token, userName, device } = memory.session ?? session;
      try {
        await this.#connect({ token, userName, device, loginAttempts: 1 });
        break;
      } catch (error) {
        if (attempt !== this.#attempt) return;
        // Another tab was given a new token meanwhile.
        if (token !== memory.session?.token) continue;
        if (!(await this.#mayRetry(error as CimError, round))) break;
      }
    }
    changed();
  }

  /** @throws CimError when it is refused, or did not work */
  async signIn({ userName, password, create, forLong }: Credentials): Promise<void> {
    const { memory, changed } = this.#options;
    const { device } = memory;
    this.#attempt++;
    const client = await this.#connect({
      userName,
      password: password || undefined,
      device,
      register: create,
      loginAttempts: SIGN_IN_ATTEMPTS,
    });
    const { userId, token } = client;
    this.over = null;
    memory.remember({ userId, userName: client.userName, token, device }, forLong);
    changed();
  }

  /** @throws CimError ACCOUNT_MISMATCH when the old one is not right */
  async changePassword(password: string, oldPassword: string): Promise<void> {
    const client = this.#client;
    if (!client) throw new CimError("FALLBACK");
    await client.changePassword(password, oldPassword || undefined);
  }

  /** Logs out, here and at the route, and forgets what this browser knew of the account. */
  async signOut(): Promise<void> {
    this.#attempt++;
    const client = this.#client;
    if (this.me) this.#options.memory.forget(this.me.userId);
    this.#leave(null);
    await client?.close();
  }

  /** Tries to connect now: the network is back, or somebody does not want to wait. */
  hurry(): void {
    this.#client?.hurry();
    this.#endWait();
  }

  /** @param more further than before */
  async refreshPeople(more = false): Promise<void> {
    const client = this.#client;
    const { people } = this;
    if (!client || !this.me || this.link.state !== "ready" || people.refreshing) return;
    const me = this.me.userId;
    await (more ? people.showMore(client, me) : people.refresh(client, me)).catch(() => {});
    this.#options.changed();
  }

  async findPeople(name: string): Promise<{ list: User[]; more: boolean }> {
    const nobody = { list: [], more: false };
    if (!this.#client || !this.me) return nobody;
    return this.people.find(this.#client, name, this.me.userId).catch(() => nobody);
  }

  /** @throws CimError when it is refused or did not work */
  async #connect(credentials: Omit<ConnectOptions, "routeUrl">): Promise<Client> {
    const attempt = this.#attempt;
    const client = await connect({
      routeUrl: this.#options.routeUrl,
      sendTimeoutMs: SEND_TIMEOUT_MS,
      onStatus: (status) => {
        if (attempt === this.#attempt) this.#told(status);
      },
      ...this.#options.sdk,
      ...credentials,
    });
    if (attempt === this.#attempt) this.#connected(client);
    else await client.detach();
    return client;
  }

  /** Waits for the next try; answers false where none helps. */
  async #mayRetry(error: CimError, round: number): Promise<boolean> {
    if (error.status === "REPEAT_LOGIN") {
      this.link = { state: "elsewhere", where: "device" };
      return false;
    }
    if (error.retry === false) {
      this.#end({ reason: "refused", text: error.message });
      return false;
    }
    const delayMs = (this.#options.sdk?.backoff ?? backoffMs)(round);
    this.link = { state: "waiting", until: Date.now() + delayMs, reason: error.code };
    this.#options.changed();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#endWait = resolve;
    const timer = setTimeout(resolve, delayMs);
    await promise.finally(() => clearTimeout(timer));
    return true;
  }

  #connected(client: Client): void {
    this.#client = client;
    this.#enter(client);
    void client.closed.then((closed) => this.#closed(client, closed));
    this.conversations.connected(client);
    void this.refreshPeople();
  }

  #enter({ userId, userName }: User): void {
    if (this.me?.userId === userId) return;
    this.me = { userId, userName };
    this.conversations.begin(this.me);
  }

  /** The session is over. */
  #end(over: Closed): void {
    if (this.me) this.#options.memory.forgetSession(this.me.userId);
    this.#leave(over);
  }

  #leave(over: Closed | null): void {
    this.#client = null;
    this.me = null;
    this.over = over;
    this.conversations.end();
    this.#options.changed();
  }

  #told(status: Status): void {
    if (status.type === "token" && this.me) this.#options.memory.renew(this.me.userId, status.token);
    if (status.type === "waiting") {
      this.link = { state: "waiting", until: Date.now() + status.delayMs, reason: status.reason };
    } else if (status.type === "state" && status.state === "Ready") {
      this.link = { state: "ready" };
      void this.refreshPeople();
    }
    this.#options.changed();
  }

  #closed(client: Client, closed: Closed): void {
    if (client !== this.#client) return;
    this.#client = null;
    this.conversations.disconnected();
    if (closed.reason === "replaced") this.link = { state: "elsewhere", where: "tab" };
    else if (closed.reason === "kicked") this.link = { state: "elsewhere", where: "device" };
    else this.#end(closed);
    this.#options.changed();
  }

  /** If that is news, there may be more. */
  #noticed(userId: number, online: boolean): void {
    if (this.people.online.get(userId) === online) return;
    this.people.online.set(userId, online);
    if (this.#noticing) return;
    this.#noticing = true;
    const waitMs = Math.max(0, this.people.refreshedAt + NOTICE_MS - Date.now());
    setTimeout(() => {
      this.#noticing = false;
      void this.refreshPeople();
    }, waitMs);
  }
}
