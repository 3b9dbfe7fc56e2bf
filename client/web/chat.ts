/** The chat behind the page: who is signed in, the conversations, and how it stands with the connection. Knows no DOM. */
import { backoffMs } from "../../common/backoff.ts";
import { ALL, p2p, parseConversation, peerOf } from "../../proto/conversation.ts";
import { MAX_CONTENT_BYTES } from "../../proto/frame.ts";
import type { CimError } from "../../proto/status.ts";
import { type Client, connect } from "../sdk/client.ts";
import type { Closed, ConnectOptions, Message, Status, User } from "../sdk/types.ts";
import type { Memory } from "./memory.ts";
import { People } from "./people.ts";
import { type Entry, Thread } from "./thread.ts";

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
const PAGE_MESSAGES = 50;
/** Conversations whose newest messages are read at the start, for the list. */
const RECENT_CHATS = 12;
const MAX_SEARCHED = 1000;
/** What is noticed makes the page ask who is online at most this often. */
const NOTICE_MS = 2 * 1000;

export class Chat {
  readonly people = new People();
  readonly threads = new Map<string, Thread>();
  me: User | null = null;
  link: Link = { state: "connecting" };
  open: Thread | null = null;
  /** Why nobody is signed in any more, if somebody was. */
  over: Closed | null = null;
  /** Whether a remembered session is being taken up. */
  starting = false;
  readonly #options: ChatOptions;
  #client: Client | null = null;
  /** Tells one attempt to be connected from those before it. */
  #attempt = 0;
  #endWait: () => void = () => {};

  constructor(options: ChatOptions) {
    this.#options = options;
  }

  /** Takes up the remembered session, if there is one. */
  async start(): Promise<void> {
    const { memory, changed } = this.#options;
    const session = memory.session;
    if (!session) return;
    this.starting = true;
    this.#enter(session);
    changed();
    await this.resume();
  }

  /** Takes the session up, or back from another tab or device. Where that is refused, nobody is signed in any more. */
  async resume(): Promise<void> {
    const session = this.#options.memory.session;
    if (!session) return this.#leave({ reason: "logged_out", text: "" });
    const attempt = ++this.#attempt;
    this.link = { state: "connecting" };
    this.#options.changed();
    for (let round = 0; attempt === this.#attempt; round++) {
      const { token, userName, device } = this.#options.memory.session ?? session;
      try {
        await this.#connect({ token, userName, device, loginAttempts: 1 });
        break;
      } catch (error) {
        if (attempt !== this.#attempt) return;
        // Another tab was given a new token meanwhile.
        if (token !== this.#options.memory.session?.token) continue;
        if (!(await this.#mayRetry(error as CimError, round))) break;
      }
    }
    this.starting = false;
    this.#options.changed();
  }

  /** @throws CimError when it is refused, or did not work */
  async signIn({ userName, password, create, forLong }: Credentials): Promise<void> {
    const { memory } = this.#options;
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
    this.#options.changed();
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

  /** The conversation with an account, or with everyone; made if there is none yet. */
  thread(peer: User | null): Thread {
    return this.#thread(peer ? p2p(this.me!.userId, peer.userId) : ALL, peer);
  }

  show(thread: Thread | null): void {
    this.open?.trim();
    this.open = thread;
    if (thread) {
      thread.newAfter = thread.unread > 0 ? thread.read : null;
      if (!thread.loaded) void this.loadNewest(thread);
    }
    this.#keep();
    this.#options.changed();
  }

  /** Everything of the conversation that is there was looked at. */
  seen(thread: Thread): void {
    if (!thread.seen()) return;
    thread.trim();
    this.#keep();
    this.#options.changed();
  }

  /** Own messages without a receipt. */
  get pending(): number {
    return this.chats.reduce((sum, thread) => sum + thread.waiting.length, 0);
  }

  get unread(): number {
    return this.chats.reduce((sum, thread) => sum + thread.unread, 0);
  }

  /** The list: everyone first, then by what happened last. */
  get chats(): Thread[] {
    const time = (thread: Thread) => thread.last?.at.getTime() ?? 0;
    return Array.from(this.threads.values()).sort(
      (a, b) => Number(b.peer === null) - Number(a.peer === null) || time(b) - time(a),
    );
  }

  /** Why this text cannot be sent: its size in bytes and the limit; null when it can. */
  static tooLong(text: string): { bytes: number; limit: number } | null {
    const bytes = new TextEncoder().encode(text).length;
    return bytes > MAX_CONTENT_BYTES ? { bytes, limit: MAX_CONTENT_BYTES } : null;
  }

  send(thread: Thread, text: string): void {
    const { memory, changed } = this.#options;
    const messageId = crypto.getRandomValues(new Uint8Array(16)).toHex();
    const at = new Date();
    const entry = thread.queue({ messageId, sender: this.me!, at, text: text.toWellFormed() });
    const unsent = { conversation: thread.conversation, messageId, text: entry.text!, at: at.getTime() };
    memory.addUnsent(this.me!.userId, unsent);
    thread.newAfter = null;
    this.#transmit(thread, entry);
    changed();
  }

  /** Sends a message again that failed. */
  again(thread: Thread, entry: Entry): void {
    Object.assign(entry, { mark: "queued", error: undefined });
    this.#transmit(thread, entry);
    this.#options.changed();
  }

  /** Gives up a message that failed. */
  drop(thread: Thread, entry: Entry): void {
    thread.drop(entry);
    this.#options.memory.dropUnsent(this.me!.userId, entry.messageId);
    this.#options.changed();
  }

  async loadNewest(thread: Thread): Promise<void> {
    await this.#load(thread, undefined);
    this.#options.changed();
  }

  async loadOlder(thread: Thread): Promise<void> {
    if (thread.complete || thread.loading || !thread.loaded) return;
    await this.#load(thread, thread.oldest);
    this.#options.changed();
  }

  /** Messages with these words in them, newest first; goes back further in the history each time it is called. */
  async search(thread: Thread, words: string): Promise<Entry[]> {
    const needle = words.toLocaleLowerCase();
    const goal = thread.entries.length + MAX_SEARCHED;
    while (!thread.complete && thread.entries.length < goal) {
      if (!(await this.#load(thread, thread.oldest))) break;
    }
    this.#options.changed();
    const found = thread.entries.filter(({ text }) => text?.toLocaleLowerCase().includes(needle));
    return found.reverse();
  }

  async refreshPeople(more = false): Promise<void> {
    const client = this.#client;
    const { people } = this;
    if (!client || !this.me || this.link.state !== "ready" || people.refreshing) return;
    const me = this.me.userId;
    await (more ? people.showMore(client, me) : people.refresh(client, me)).catch(() => {});
    this.#options.changed();
  }

  async findPeople(name: string): Promise<{ list: User[]; more: boolean }> {
    if (!this.#client || !this.me) return { list: [], more: false };
    return this.people.find(this.#client, name, this.me.userId).catch(() => ({ list: [], more: false }));
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
    if (error.status === "REPEAT_LOGIN") this.link = { state: "elsewhere", where: "device" };
    if (error.status === "REPEAT_LOGIN") return false;
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
    const { userId, userName } = client;
    this.#enter({ userId, userName });
    for (const thread of this.threads.values()) thread.outdate();
    void this.#read(client);
    void client.closed.then((closed) => this.#closed(client, closed));
    this.#resend();
    void this.#loadRecent();
    void this.refreshPeople();
  }

  #enter({ userId, userName }: User): void {
    if (this.me?.userId === userId) return;
    this.threads.clear();
    this.me = { userId, userName };
    this.open = this.thread(null);
    for (const { conversation, peer, read } of this.#options.memory.chats(userId)) {
      const thread = this.#thread(conversation, peer);
      thread.resume(read);
    }
    for (const { conversation, messageId, text, at } of this.#options.memory.unsent(userId)) {
      this.#thread(conversation).queue({ messageId, sender: this.me, at: new Date(at), text });
    }
  }

  /** The session is over. */
  #end(over: Closed): void {
    if (this.me) this.#options.memory.forgetSession(this.me.userId);
    this.#leave(over);
  }

  #leave(over: Closed | null): void {
    this.#client = null;
    this.me = null;
    this.open = null;
    this.over = over;
    this.threads.clear();
    this.#options.changed();
  }

  async #read(client: Client): Promise<void> {
    for await (const message of client.messages) this.#take(message);
  }

  #take(message: Message): void {
    const thread = this.#thread(message.conversation, message.own ? undefined : message.sender);
    thread.add(message, true);
    if (message.own) this.#options.memory.dropUnsent(this.me!.userId, message.messageId);
    else this.#noticed(message.sender.userId, true);
    if (thread !== this.open) thread.trim();
    this.#options.changed();
  }

  /** If that is news, there may be more. */
  #noticed(userId: number, online: boolean): void {
    if (this.people.online.get(userId) === online) return;
    this.people.online.set(userId, online);
    if (Date.now() - this.people.refreshedAt > NOTICE_MS) void this.refreshPeople();
  }

  #told(status: Status): void {
    const { memory, changed } = this.#options;
    if (status.type === "token" && this.me) memory.renew(this.me.userId, status.token);
    if (status.type === "waiting") {
      this.link = { state: "waiting", until: Date.now() + status.delayMs, reason: status.reason };
    } else if (status.type === "state" && status.state === "Ready") {
      this.link = { state: "ready" };
      void this.refreshPeople();
    }
    changed();
  }

  #closed(client: Client, closed: Closed): void {
    if (client !== this.#client) return;
    this.#client = null;
    if (closed.reason === "replaced") this.link = { state: "elsewhere", where: "tab" };
    else if (closed.reason === "kicked") this.link = { state: "elsewhere", where: "device" };
    else this.#end(closed);
    this.#options.changed();
  }

  /** Once more what has no receipt, in the order it was written: what was accepted already keeps its place. */
  #resend(): void {
    const waiting = new Map<string, [Thread, Entry]>();
    for (const thread of this.threads.values()) {
      for (const entry of thread.waiting) waiting.set(entry.messageId, [thread, entry]);
    }
    for (const { messageId } of this.#options.memory.unsent(this.me!.userId)) {
      const [thread, entry] = waiting.get(messageId) ?? [];
      waiting.delete(messageId);
      if (thread && entry) this.#transmit(thread, entry);
    }
    // Where the browser keeps nothing, the page itself does.
    for (const [thread, entry] of waiting.values()) this.#transmit(thread, entry);
  }

  #transmit(thread: Thread, entry: Entry): void {
    const client = this.#client;
    if (!client) return;
    const { memory, changed } = this.#options;
    const { messageId } = entry;
    client.send(thread.conversation, entry.text!, { messageId }).then(
      (receipt) => {
        memory.dropUnsent(client.userId, messageId);
        thread.accepted(entry, receipt);
        if (thread.peer) this.#noticed(thread.peer.userId, receipt.receiverOnline);
        changed();
      },
      (error: Error) => {
        // A client that ended leaves its messages to the next.
        if (client !== this.#client || client.state === "Closed" || client.state === "Failed") return;
        thread.failed(entry, error);
        changed();
      },
    );
  }

  async #loadRecent(): Promise<void> {
    const client = this.#client;
    const recent = this.chats.slice(0, RECENT_CHATS);
    if (this.open && !recent.includes(this.open)) recent.unshift(this.open);
    for (const thread of recent) {
      if (client !== this.#client) return;
      await this.loadNewest(thread);
    }
  }

  /** Answers whether it could be read. */
  async #load(thread: Thread, before: number | undefined): Promise<boolean> {
    const client = this.#client;
    if (!client) return false;
    thread.loading = true;
    try {
      const page = await client.history(thread.conversation, { before, limit: PAGE_MESSAGES });
      if (client !== this.#client) return false;
      if (before === undefined) thread.addNewest(page);
      else for (const message of page) thread.add(message, false);
      if (page.length === 0 || page[0]!.seq === 1) thread.complete = true;
      return true;
    } catch {
      return false;
    } finally {
      thread.loading = false;
    }
  }

  #thread(conversation: string, peer?: User | null): Thread {
    const known = this.threads.get(conversation);
    if (known) {
      if (peer && known.peer) known.peer = peer;
      return known;
    }
    const thread = new Thread(
      conversation,
      conversation === ALL ? null : (peer ?? this.#peerOf(conversation)),
    );
    this.threads.set(conversation, thread);
    return thread;
  }

  /** Of an account that never said anything only the id is known. */
  #peerOf(conversation: string): User {
    const parsed = parseConversation(conversation);
    return { userId: (parsed.kind === "p2p" && peerOf(parsed, this.me!.userId)) || 0, userName: "" };
  }

  #keep(): void {
    if (!this.me) return;
    const chats = this.chats.map(({ conversation, peer, read }) => ({ conversation, peer, read }));
    this.#options.memory.setChats(this.me.userId, chats);
  }
}
