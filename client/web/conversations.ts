/** The conversations of whoever is signed in: what is read, what is written, and what became of it. Knows no DOM. */
import { ALL, p2p, parseConversation, peerOf } from "../../proto/conversation.ts";
import { MAX_CONTENT_BYTES } from "../../proto/frame.ts";
import type { Client } from "../sdk/client.ts";
import type { Message, User } from "../sdk/types.ts";
import type { Memory } from "./memory.ts";
import { type Entry, Thread } from "./thread.ts";

export interface ConversationsOptions {
  memory: Memory;
  /** Something is to be shown anew. */
  changed: () => void;
  /** It turned out whether an account is online. */
  noticed: (userId: number, online: boolean) => void;
}

const PAGE_MESSAGES = 50;
/** Conversations whose newest messages are read at the start, for the list. */
const RECENT = 12;
const MAX_SEARCHED = 1000;

export class Conversations {
  open: Thread | null = null;
  readonly #options: ConversationsOptions;
  readonly #threads = new Map<string, Thread>();
  #me: User | null = null;
  #client: Client | null = null;

  constructor(options: ConversationsOptions) {
    this.#options = options;
  }

  /** Somebody is signed in: takes up what this browser remembers. */
  begin(me: User): void {
    this.#threads.clear();
    this.#me = me;
    this.open = this.with(null);
    for (const { conversation, peer, read } of this.#options.memory.chats(me.userId)) {
      this.#thread(conversation, peer).resume(read);
    }
    for (const { conversation, messageId, text, at } of this.#options.memory.unsent(me.userId)) {
      this.#thread(conversation).queue({ messageId, sender: me, at: new Date(at), text });
    }
  }

  /** Nobody is signed in any more. */
  end(): void {
    this.#threads.clear();
    this.#me = this.#client = this.open = null;
  }

  /** There is a client anew: sends what waits, and looks at what is new. */
  connected(client: Client): void {
    this.#client = client;
    for (const thread of this.#threads.values()) thread.outdate();
    void this.#read(client);
    this.#resend();
    void this.#loadRecent();
  }

  /** The client has ended: what waits is for the next one. */
  disconnected(): void {
    this.#client = null;
  }

  /** The list: everyone first, then by what happened last. */
  get all(): Thread[] {
    const time = (thread: Thread) => thread.last?.at.getTime() ?? 0;
    return Array.from(this.#threads.values()).sort(
      (a, b) => Number(b.peer === null) - Number(a.peer === null) || time(b) - time(a),
    );
  }

  get unread(): number {
    return this.all.reduce((sum, thread) => sum + thread.unread, 0);
  }

  /** Own messages without a receipt. */
  get pending(): number {
    return this.all.reduce((sum, thread) => sum + thread.waiting.length, 0);
  }

  /** The conversation with an account, or with everyone; made if there is none yet. */
  with(peer: User | null): Thread {
    return this.#thread(peer ? p2p(this.#me!.userId, peer.userId) : ALL, peer);
  }

  show(thread: Thread): void {
    this.open?.trim();
    this.open = thread;
    thread.newAfter = thread.unread > 0 ? thread.read : null;
    if (!thread.loaded) void this.loadNewest(thread);
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

  send(thread: Thread, text: string): void {
    const { userId } = this.#me!;
    const messageId = crypto.getRandomValues(new Uint8Array(16)).toHex();
    const at = new Date();
    const entry = thread.queue({ messageId, sender: this.#me!, at, text: text.toWellFormed() });
    const { conversation } = thread;
    this.#options.memory.addUnsent(userId, { conversation, messageId, text: entry.text!, at: at.getTime() });
    thread.newAfter = null;
    this.#transmit(thread, entry);
    this.#options.changed();
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
    this.#options.memory.dropUnsent(this.#me!.userId, entry.messageId);
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

  async #read(client: Client): Promise<void> {
    for await (const message of client.messages) this.#take(message);
  }

  #take(message: Message): void {
    const { own, sender, conversation, messageId } = message;
    const thread = this.#thread(conversation, own ? undefined : sender);
    thread.add(message, true);
    if (own) this.#options.memory.dropUnsent(sender.userId, messageId);
    else this.#options.noticed(sender.userId, true);
    if (thread !== this.open) thread.trim();
    this.#options.changed();
  }

  /** Once more what has no receipt, in the order it was written: what was accepted already keeps its place. */
  #resend(): void {
    const waiting = this.all.flatMap((thread) =>
      thread.waiting.filter(({ mark }) => mark === "queued").map((entry) => ({ thread, entry })),
    );
    waiting.sort((a, b) => a.entry.at.getTime() - b.entry.at.getTime());
    for (const { thread, entry } of waiting) this.#transmit(thread, entry);
  }

  #transmit(thread: Thread, entry: Entry): void {
    const client = this.#client;
    if (!client) return;
    const { memory, changed, noticed } = this.#options;
    const { messageId } = entry;
    client.send(thread.conversation, entry.text!, { messageId }).then(
      (receipt) => {
        memory.dropUnsent(client.userId, messageId);
        thread.accepted(entry, receipt);
        if (thread.peer) noticed(thread.peer.userId, receipt.receiverOnline);
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
    const recent = this.all.slice(0, RECENT);
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
    const known = this.#threads.get(conversation);
    if (known) {
      if (peer && known.peer) known.peer = peer;
      return known;
    }
    const other = conversation === ALL ? null : (peer ?? this.#peerOf(conversation));
    const thread = new Thread(conversation, other);
    this.#threads.set(conversation, thread);
    return thread;
  }

  /** Of an account that never said anything only the id is known. */
  #peerOf(conversation: string): User {
    const parsed = parseConversation(conversation);
    return { userId: (parsed.kind === "p2p" && peerOf(parsed, this.#me!.userId)) || 0, userName: "" };
  }

  #keep(): void {
    const chats = this.all.map(({ conversation, peer, read }) => ({ conversation, peer, read }));
    if (this.#me) this.#options.memory.setChats(this.#me.userId, chats);
  }
}

/** Why a text cannot be sent: its size in bytes and the limit; null when it can. */
export function tooLong(text: string): { bytes: number; limit: number } | null {
  const bytes = new TextEncoder().encode(text).length;
  return bytes > MAX_CONTENT_BYTES ? { bytes, limit: MAX_CONTENT_BYTES } : null;
}
