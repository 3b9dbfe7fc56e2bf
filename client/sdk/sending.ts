/** Sends messages over whatever connection there is, and tells what became of each. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { parseConversation, peerOf } from "../../proto/conversation.ts";
import { BYTE_ORDER_MARK, MAX_CONTENT_BYTES, MAX_MESSAGE_ID_LENGTH } from "../../proto/frame.ts";
import { Command, SendSchema, SentSchema, type Receipt as WireReceipt } from "../../proto/gen/cim_pb.ts";
import { CimError, STATUS } from "../../proto/status.ts";
import type { Clock } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { type Answer, type Outgoing, SendQueue } from "./sendqueue.ts";
import type { Message, Receipt } from "./types.ts";

export interface SendingOptions {
  clock: Clock;
  /** This account, once it is known. */
  userId: () => number;
  timeoutMs: number;
  backoff: (attempt: number) => number;
  /** A message of ours stands as `seq` of its conversation. */
  accepted: (conversation: string, seq: number) => void;
}

/** Messages whose messageId the application chose that are remembered as sent from here. */
const MAX_CHOSEN_IDS = 10_000;
/** What stands around the content in a frame, generously. */
const OVERHEAD_BYTES = 160;

const encoder = new TextEncoder();

export class Sending {
  readonly #options: SendingOptions;
  readonly #queue: SendQueue;
  /** Tells the ids made here from those of any other client, at any time. */
  readonly #prefix = `${crypto.getRandomValues(new Uint8Array(9)).toHex()}-`;
  readonly #chosen = new Set<string>();
  #count = 0;
  #connection: Connection | null = null;
  #pumping = false;
  #ended: string | null = null;
  #cancelWake: () => void = () => {};

  constructor(options: SendingOptions) {
    this.#options = options;
    this.#queue = new SendQueue(options);
  }

  get pending(): number {
    return this.#queue.pending;
  }

  /** Whether the message was sent by this very client. */
  isSent(message: Message): boolean {
    if (message.sender.userId !== this.#options.userId()) return false;
    return message.messageId.startsWith(this.#prefix) || this.#chosen.has(nameOf(message));
  }

  /** Rejects with a CimError when it is refused, or has no receipt in time. */
  async send(conversation: string, content: string | Uint8Array, messageId?: string): Promise<Receipt> {
    if (this.#ended !== null) throw new CimError("RECONNECT_FAILED", this.#ended);
    const outgoing = this.#outgoing(conversation, content, messageId);
    const receipt = this.#queue.add(outgoing, this.#options.clock.now());
    this.#schedule();
    return receipt;
  }

  connected(connection: Connection): void {
    this.#connection = connection;
    this.#queue.connected();
    this.#pump();
  }

  disconnected(): void {
    this.#connection = null;
  }

  /** The answer to the Send under way: an encoded Sent. */
  answered(sent: Uint8Array): void {
    this.#queue.answered(fromBinary(SentSchema, sent).receipts.map(toAnswer), this.#options.clock.now());
    this.#pump();
  }

  /** Rejects what has no receipt; nothing is sent any more. */
  end(why: string): void {
    this.#ended = why;
    this.#connection = null;
    this.#cancelWake();
    this.#queue.fail("RECONNECT_FAILED", why);
  }

  // A microtask later, so that what is sent in one go leaves in one frame.
  #schedule(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => this.#pump());
  }

  #pump(): void {
    this.#pumping = false;
    const { clock } = this.#options;
    // Looked at once: between two looks the moment for the next try would pass unseen.
    const now = clock.now();
    this.#queue.expire(now);
    const batch = this.#connection && this.#queue.next(now);
    if (batch)
      this.#connection?.write({ cmd: Command.CONTROL, body: { case: "send", value: encode(batch) } });
    this.#cancelWake();
    const wakeAt = this.#queue.wakeAt(now);
    if (wakeAt !== null) this.#cancelWake = clock.after(Math.max(0, wakeAt - now), () => this.#pump());
  }

  #outgoing(conversation: string, content: string | Uint8Array, messageId?: string): Outgoing {
    const parsed = parseConversation(conversation);
    const userId = this.#options.userId();
    if (parsed.kind === "p2p" && peerOf(parsed, userId) === null) {
      throw new CimError("FORBIDDEN", `user ${userId} is not part of ${conversation}`);
    }
    const bytes = checkContent(content) + OVERHEAD_BYTES;
    const id =
      messageId === undefined
        ? `${this.#prefix}${(this.#count++).toString(36)}`
        : this.#choose(conversation, messageId);
    const value = typeof content === "string" ? content : content.slice();
    const typed =
      typeof value === "string" ? { case: "text" as const, value } : { case: "data" as const, value };
    return { conversation, messageId: id, content: typed, bytes };
  }

  #choose(conversation: string, messageId: string): string {
    const length = [...messageId].length;
    if (length < 1 || length > MAX_MESSAGE_ID_LENGTH || !messageId.isWellFormed()) {
      throw new CimError("INVALID", `messageId of ${length} characters: want 1 to ${MAX_MESSAGE_ID_LENGTH}`);
    }
    if (messageId.startsWith(BYTE_ORDER_MARK))
      throw new CimError("INVALID", "messageId that begins with a byte order mark (U+FEFF)");
    this.#chosen.add(nameOf({ conversation, messageId }));
    if (this.#chosen.size > MAX_CHOSEN_IDS) this.#chosen.delete(this.#chosen.values().next().value!);
    return messageId;
  }
}

/** A messageId is one in its conversation: another device may use it elsewhere. */
function nameOf({ conversation, messageId }: { conversation: string; messageId: string }): string {
  return `${conversation} ${messageId}`;
}

/** @returns its size in bytes @throws CimError INVALID for what no server would take */
function checkContent(content: string | Uint8Array): number {
  if (typeof content === "string" && !content.isWellFormed()) {
    throw new CimError("INVALID", "the text has a lone surrogate: want well-formed Unicode");
  }
  const bytes = typeof content === "string" ? encoder.encode(content).length : content.length;
  if (bytes === 0) throw new CimError("INVALID", "the message is empty");
  if (bytes > MAX_CONTENT_BYTES) {
    throw new CimError("INVALID", `message of ${bytes} bytes, limit ${MAX_CONTENT_BYTES}`);
  }
  return bytes;
}

function encode(batch: Outgoing[]): Uint8Array {
  return toBinary(SendSchema, create(SendSchema, { messages: batch }));
}

function toAnswer({ messageId, code, text, seq, at }: WireReceipt): Answer {
  const receiverOnline = code === STATUS.SUCCESS.code;
  if (!receiverOnline && code !== STATUS.RECEIVER_OFFLINE.code) {
    return { messageId, refusal: CimError.fromCode(code, text) };
  }
  return { messageId, seq: Number(seq), at: new Date(Number(at)), receiverOnline };
}
