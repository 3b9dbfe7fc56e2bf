/** Hands messages to the application, acknowledges what it is done with, and asks the server for what is missing. */
import { fromBinary } from "@bufbuild/protobuf";
import type { Logger } from "../../common/logger.ts";
import { parseConversation, peerOf } from "../../proto/conversation.ts";
import { Command, type Frame, type Pages, PagesSchema } from "../../proto/gen/cim_pb.ts";
import { decodeMessage } from "../../proto/message.ts";
import type { Clock } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { charactersOf, type Entry, Inbox, type Page } from "./inbox.ts";
import type { CursorStore, Message } from "./types.ts";

export interface ReceivingOptions {
  clock: Clock;
  log: Logger;
  /** This account, once it is known. */
  userId: () => number;
  maxUnread: number;
  store?: CursorStore;
  /** What the store had at the start. */
  cursors: Record<string, number>;
  isSent(message: Message): boolean;
}

/** How long a hole may close by itself: pushes of one conversation may come over two routes. */
const HOLE_MS = 100;
/**
 * Acknowledgements are gathered for this long, or this many messages, or this much of their content. To read them takes a
 * server as long as to write a message, and a broadcast to 100,000 should be over before the first of them comes. It
 * leaves pushes out when 256 KiB are not acknowledged.
 */
const ACK_MS = 3 * 1000;
const ACK_MESSAGES = 64;
const ACK_CHARACTERS = 64 * 1024;
/** Cursors in one frame. */
const MAX_CURSORS = 500;

export class Receiving implements AsyncIterable<Message> {
  readonly #options: ReceivingOptions;
  readonly #inbox: Inbox;
  /** What the store was told. */
  readonly #saved = new Map<string, number>();
  readonly #stored: [string, number][];
  #connection: Connection | null = null;
  /** What the application has and is not done with. */
  #current: Entry | null = null;
  #arrival = Promise.withResolvers<void>();
  #doneSinceAck = { messages: 0, characters: 0 };
  #cancelAck: (() => void) | null = null;
  #cancelHole: (() => void) | null = null;
  #ended = false;

  constructor(options: ReceivingOptions) {
    this.#options = options;
    this.#stored = Object.entries(options.cursors);
    this.#inbox = new Inbox(options);
  }

  get unread(): number {
    return this.#inbox.unread;
  }

  /** Each message goes to one reader. Whoever asks for the next one is done with the one before. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, void> {
    while (!this.#ended) {
      await this.#finish();
      const entry = this.#inbox.take();
      if (entry === null) {
        await this.#arrival.promise;
        continue;
      }
      this.#current = entry;
      this.#ask();
      yield entry.message;
    }
  }

  connected(connection: Connection): void {
    this.#connection = connection;
    this.#resume();
    this.#inbox.connected();
    this.#look();
  }

  disconnected(): void {
    this.#connection = null;
  }

  /** Takes a frame that is about messages received. */
  frame({ body }: Frame): void {
    if (body.case === "message") this.#inbox.push(this.#message(body.value));
    else if (body.case === "pages") this.#pages(fromBinary(PagesSchema, body.value));
    else if (body.case === "lagging") this.#inbox.lagging(body.value.conversations);
    this.#look();
  }

  /** A message of ours stands as `seq`. */
  accepted(conversation: string, seq: number): void {
    this.#inbox.accepted(conversation, seq);
    this.#look();
  }

  /** Tells the server of everything that was handed out, while there is a connection. */
  async flush(): Promise<void> {
    await this.#finish();
    await this.#sendAcks();
  }

  /** Ends the iteration; what was not handed out stays on the server. */
  end(): void {
    this.#ended = true;
    this.#connection = null;
    this.#cancelAck?.();
    this.#cancelHole?.();
    this.#arrival.resolve();
  }

  /** Takes up what the store had, once it is known who this is. */
  #resume(): void {
    const { log, userId } = this.#options;
    for (const [conversation, seq] of this.#stored.splice(0)) {
      if (isOf(userId(), conversation) && Number.isSafeInteger(seq) && seq >= 0) {
        this.#saved.set(conversation, seq);
        this.#inbox.resume(conversation, seq);
      } else log.warn({ conversation, seq, userId: userId() }, "a stored cursor that is not of this account");
    }
  }

  async #finish(): Promise<void> {
    const entry = this.#current;
    if (entry === null) return;
    // Before the server is told: an acknowledged message does not come again.
    await this.#save(entry.message.conversation, entry.ackTo);
    if (this.#current !== entry) return;
    this.#current = null;
    this.#inbox.done(entry);
    this.#doneSinceAck.messages++;
    this.#doneSinceAck.characters += charactersOf(entry.message);
    this.#look();
  }

  async #save(conversation: string, seq: number): Promise<void> {
    if (!this.#options.store || seq <= (this.#saved.get(conversation) ?? 0)) return;
    await this.#options.store.save(conversation, seq);
    this.#saved.set(conversation, seq);
  }

  /** What follows from anything that changed. */
  #look(): void {
    if (this.#ended) return;
    if (this.#inbox.unread > 0) {
      this.#arrival.resolve();
      this.#arrival = Promise.withResolvers();
    }
    if (this.#inbox.hasFreshHoles) {
      this.#cancelHole ??= this.#options.clock.after(HOLE_MS, () => {
        this.#cancelHole = null;
        this.#inbox.settle();
        this.#look();
      });
    }
    if (this.#connection && this.#inbox.ackCount > 0) {
      const { messages, characters } = this.#doneSinceAck;
      if (messages >= ACK_MESSAGES || characters >= ACK_CHARACTERS) void this.#sendAcks();
      else this.#cancelAck ??= this.#options.clock.after(ACK_MS, () => void this.#sendAcks());
    }
    this.#ask();
  }

  #ask(): void {
    const ask = this.#connection && this.#inbox.nextAsk();
    if (!ask) return;
    const value =
      "from" in ask
        ? { from: ask.from }
        : {
            after: ask.after.map(({ conversation, seq }) => ({
              conversation,
              seq: seq === null ? undefined : BigInt(seq),
            })),
          };
    this.#options.log.debug({ ask }, "asking for what is missing");
    this.#connection!.write({ cmd: Command.CONTROL, body: { case: "sync", value } });
  }

  async #sendAcks(): Promise<void> {
    this.#cancelAck?.();
    this.#cancelAck = null;
    this.#doneSinceAck = { messages: 0, characters: 0 };
    while (this.#connection && this.#inbox.ackCount > 0) {
      const cursors = this.#inbox.takeAcks(MAX_CURSORS);
      try {
        for (const { conversation, seq } of cursors) await this.#save(conversation, seq);
      } catch (error) {
        // The server is not told, so the messages come again after a restart: as safe as it can be.
        this.#options.log.error({ error: (error as Error).message }, "a cursor was not saved");
        continue;
      }
      const wire = cursors.map(({ conversation, seq }) => ({ conversation, seq: BigInt(seq) }));
      this.#connection?.write({ cmd: Command.CONTROL, body: { case: "ack", value: { cursors: wire } } });
    }
  }

  #pages({ pages, more }: Pages): void {
    const decoded = pages.map(
      (page): Page => ({
        conversation: page.conversation,
        after: Number(page.after),
        through: Number(page.through),
        head: Number(page.head),
        messages: page.messages.map((bytes) => this.#message(bytes)),
      }),
    );
    this.#inbox.pages(decoded, more);
  }

  #message(bytes: Uint8Array): Message {
    const { conversation, seq, messageId, senderId, senderName, at, content } = decodeMessage(bytes);
    const userId = Number(senderId);
    return {
      conversation,
      seq: Number(seq),
      messageId,
      sender: { userId, userName: senderName },
      at: new Date(Number(at)),
      // What was decoded is a view of the network's bytes.
      ...(content.case === "text" && { text: content.value }),
      ...(content.case === "data" && { data: content.value.slice() }),
      own: userId === this.#options.userId(),
    };
  }
}

function isOf(userId: number, name: string): boolean {
  try {
    const conversation = parseConversation(name);
    return conversation.kind === "all" || peerOf(conversation, userId) !== null;
  } catch {
    return false;
  }
}
