/**
 * The SDK: log in, send, read.
 *
 *     await using alice = await connect({ routeUrl: "http://127.0.0.1:8083", userName: "alice", password });
 *     await alice.sendAll("hello");
 *     for await (const message of alice.messages) console.log(message.sender.userName, message.text);
 */
import { backoffMs } from "../../common/backoff.ts";
import type { Logger } from "../../common/logger.ts";
import cim from "../../package.json" with { type: "json" };
import { ALL, isUserId, p2p } from "../../proto/conversation.ts";
import type { Frame } from "../../proto/gen/cim_pb.ts";
import { CimError } from "../../proto/status.ts";
import { Api } from "./api.ts";
import { systemClock } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { Receiving } from "./receiving.ts";
import { Sending } from "./sending.ts";
import { Session } from "./session.ts";
import { StatusStream } from "./statusstream.ts";
import type { Dial } from "./transport.ts";
import type { Closed, ConnectOptions, Message, Receipt, ServerInfo, State, Status, User } from "./types.ts";
import { websocket } from "./websocket.ts";

export type * from "./types.ts";
export { CimError };

const DEFAULT_LOGIN_ATTEMPTS = 5;
const DEFAULT_MAX_UNREAD = 1000;
const DEFAULT_SEND_TIMEOUT_MS = 30 * 1000;
const DEFAULT_HISTORY_LIMIT = 50;
const PAGE_USERS = 500;
const CLIENT_NAME = `cim-sdk ${cim.version}`;

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Logs in and connects.
 * @throws CimError when that is refused, or did not work in `loginAttempts` tries
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  if (!/^https?:$/.test(URL.parse(options.routeUrl)?.protocol ?? "")) {
    throw new CimError("INVALID", `routeUrl ${options.routeUrl}: want an http:// or https:// URL`);
  }
  // TCP is loaded only where there is some.
  const transport =
    options.transport ?? (typeof Bun === "undefined" ? websocket : (await import("./tcp.ts")).tcp);
  const client = new Client({ ...options, transport }, (await options.cursors?.load()) ?? {});
  await client.start();
  return client;
}

export class Client {
  readonly #api: Api;
  readonly #session: Session;
  readonly #receiving: Receiving;
  readonly #sending: Sending;
  readonly #status = new StatusStream();
  #ending: Promise<void> | null = null;

  /** Use `connect`. */
  constructor(options: ConnectOptions & { transport: Dial }, cursors: Record<string, number>) {
    const { clock = systemClock, log = silent, fetch = globalThis.fetch } = options;
    const backoff = options.backoff ?? ((attempt: number) => backoffMs(attempt));
    const userId = () => this.userId;
    this.#api = new Api({ routeUrl: options.routeUrl, fetch: (request) => fetch(request) });
    this.#session = new Session(
      {
        ...options,
        api: this.#api,
        dial: options.transport,
        clock,
        log,
        backoff,
        loginAttempts: options.loginAttempts ?? DEFAULT_LOGIN_ATTEMPTS,
        register: options.register ?? false,
        device: options.device ?? "default",
        client: CLIENT_NAME,
      },
      {
        connected: (connection) => this.#connected(connection),
        frame: (frame) => this.#frame(frame),
        disconnected: () => this.#disconnected(),
        status: (status) => {
          this.#status.tell(status);
          options.onStatus?.(status);
        },
        ended: (closed) => this.#ended(closed),
      },
    );
    this.#sending = new Sending({
      clock,
      userId,
      backoff,
      timeoutMs: options.sendTimeoutMs ?? DEFAULT_SEND_TIMEOUT_MS,
      accepted: (conversation, seq) => this.#receiving.accepted(conversation, seq),
    });
    this.#receiving = new Receiving({
      clock,
      log,
      userId,
      cursors,
      store: options.cursors,
      maxUnread: options.maxUnread ?? DEFAULT_MAX_UNREAD,
      isSent: (message) => this.#sending.isSent(message),
    });
  }

  /** Used by `connect`. */
  start(): Promise<void> {
    return this.#session.start();
  }

  get userId(): number {
    return this.#session.login.userId;
  }

  get userName(): string {
    return this.#session.login.userName;
  }

  /** Changes with every login, also those that bring a lost connection back. */
  get sessionId(): string {
    return this.#session.login.sessionId;
  }

  /** Good for a later `connect` without password, as long as the session was not logged out. Changes like `sessionId`. */
  get token(): string {
    return this.#session.login.token;
  }

  get server(): ServerInfo {
    return this.#session.login.server;
  }

  get state(): State {
    return this.#session.state;
  }

  /**
   * What others send, and what this account sends from other devices: exactly once, in order within each
   * conversation. Whoever asks for the next message is done with the one before, which is then acknowledged.
   */
  get messages(): AsyncIterable<Message> {
    return this.#receiving;
  }

  /** What happens from now on: states, new tokens, failures and waits. Every reader sees all of it. */
  get status(): AsyncIterable<Status> {
    return this.#status;
  }

  /** Settles when the client has ended, by `close`, `detach` or because it gave up; never rejects. */
  get closed(): Promise<Closed> {
    return this.#session.closed;
  }

  /** Messages sent that have no receipt yet. */
  get pending(): number {
    return this.#sending.pending;
  }

  /** Tries at once what is being waited with before the next try: for a program that knows that the network is back. */
  hurry(): void {
    this.#session.hurry();
  }

  /**
   * Sends to a conversation. A lost connection delays it; a retry by hand with the same messageId is safe.
   * @throws CimError when it is refused, or has no receipt after `sendTimeoutMs`
   */
  send(
    conversation: string,
    content: string | Uint8Array,
    options: { messageId?: string } = {},
  ): Promise<Receipt> {
    return this.#sending.send(conversation, content, options.messageId);
  }

  /** Sends to one account. */
  async sendTo(
    userId: number,
    content: string | Uint8Array,
    options?: { messageId?: string },
  ): Promise<Receipt> {
    if (!isUserId(userId))
      throw new CimError("INVALID", `userId ${userId}: want a positive integer below 2^53`);
    if (userId === this.userId)
      throw new CimError("INVALID", `userId ${userId}: that is this account itself`);
    return this.send(p2p(this.userId, userId), content, options);
  }

  /** Sends to everyone online. */
  sendAll(content: string | Uint8Array, options?: { messageId?: string }): Promise<Receipt> {
    return this.send(ALL, content, options);
  }

  /** Who is online, by userId, page by page as it is read; with `prefix` only names that begin so, in this very case. */
  async *onlineUsers(options: { prefix?: string } = {}): AsyncGenerator<User, void, void> {
    const query = { ...options, limit: PAGE_USERS };
    for await (const users of this.#api.pages("onlineUser", { query, token: this.token })) yield* users;
  }

  /** The account of exactly this name; null when there is none. */
  async findUser(name: string): Promise<User | null> {
    try {
      return await this.#api.call("account", { query: { name }, token: this.token });
    } catch (error) {
      if (error instanceof CimError && error.status === "ACCOUNT_MISMATCH") return null;
      throw error;
    }
  }

  /**
   * Gives the account a new password, in place of `oldPassword` if it has one; its other sessions are logged out.
   * @throws CimError ACCOUNT_MISMATCH when the old one is wrong or missing
   */
  async changePassword(password: string, oldPassword?: string): Promise<void> {
    await this.#api.call("changePassword", { body: { password, oldPassword }, token: this.token });
    this.#session.passwordChanged(password);
  }

  /** Messages of a conversation before the seq `before` (default: the newest), oldest first. Changes no cursor. */
  async history(conversation: string, options: { before?: number; limit?: number } = {}): Promise<Message[]> {
    const { before, limit = DEFAULT_HISTORY_LIMIT } = options;
    const body = { peer: conversation, before, limit };
    const { messages } = await this.#api.call("history", { body, token: this.token });
    return messages.map(({ seq, messageId, sendUserId, sendUserName, at, msg, data }) => ({
      conversation,
      seq,
      messageId,
      sender: { userId: sendUserId, userName: sendUserName },
      at: new Date(at),
      ...(msg !== undefined && { text: msg }),
      ...(data !== undefined && { data: Uint8Array.fromBase64(data) }),
      own: sendUserId === this.userId,
    }));
  }

  /** Logs out and ends. What was handed out counts as done; what has no receipt is rejected. Any number of times. */
  close(): Promise<void> {
    this.#ending ??= this.#leave(true);
    return this.#ending;
  }

  /** Ends without logging out: the token stays good, and `all` is kept for the account as after a lost connection. */
  detach(): Promise<void> {
    this.#ending ??= this.#leave(false);
    return this.#ending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #leave(logOut: boolean): Promise<void> {
    const isOver = this.state === "Failed";
    if (!isOver) await this.#receiving.flush().catch(() => {});
    const { userId, token } = this;
    const reason = logOut ? "closed" : "detached";
    this.#session.end({ reason, text: `the client is ${reason}` });
    // A route that cannot be reached now learns of the end from the server.
    if (logOut && !isOver) await this.#api.call("offLine", { body: { userId }, token }).catch(() => {});
  }

  #connected(connection: Connection): void {
    this.#receiving.connected(connection);
    this.#sending.connected(connection);
  }

  #frame(frame: Frame): void {
    if (frame.body.case === "sent") this.#sending.answered(frame.body.value);
    else this.#receiving.frame(frame);
  }

  #disconnected(): void {
    this.#receiving.disconnected();
    this.#sending.disconnected();
  }

  #ended({ text }: Closed): void {
    this.#receiving.end();
    this.#sending.end(text);
    this.#status.end();
  }
}
