/** Into the log: what a sender may say, how often, and that it is stored before anyone is told so. */
import { Batcher } from "../common/batch.ts";
import { parseConversation, peerOf } from "../proto/conversation.ts";
import { MAX_CONTENT_BYTES, MAX_MESSAGE_ID_LENGTH } from "../proto/frame.ts";
import { encodeMessage, withSeq } from "../proto/message.ts";
import { CimError, type StatusName } from "../proto/status.ts";
import type { Deliver, Delivery } from "./deliver.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { Appended, Draft, Log } from "./store/log.ts";

export interface Sender {
  userId: number;
  userName: string;
  /** The session that sends; "" for none (a backend, a CIM v2 peer). */
  sessionId: string;
}

export type Content = { case: "text"; value: string } | { case: "data"; value: Uint8Array };

export interface Outgoing {
  conversation: string;
  messageId: string;
  content: Content;
}

/** SUCCESS, or RECEIVER_OFFLINE: it is in the log, as `seq`. Any other status: it is not, and `detail` says why. */
export interface Receipt {
  messageId: string;
  status: StatusName;
  detail: string;
  seq: number;
  at: number;
}

export interface AcceptParts {
  log: Log;
  deliver: Pick<Deliver, "push">;
  /** Whether this account exists. */
  knows: (userId: number) => Promise<boolean>;
  rates: RateLimit;
  now?: () => number;
}

interface Entry {
  draft: Draft;
  sessionId: string;
}

/** Where a message stands, and whether a receiver is online. */
interface Accepted extends Appended {
  online: boolean;
}

const APPEND_LIMIT = { maxItems: 2000, maxBytes: 4 * 1024 * 1024 };

const encoder = new TextEncoder();

export class Accept {
  readonly #parts: AcceptParts;
  // One append under way at a time: messages are pushed in the order in which they were stored.
  readonly #appends: Batcher<Entry, Accepted>;

  constructor(parts: AcceptParts) {
    this.#parts = parts;
    this.#appends = new Batcher(
      (entries) => this.#append(entries),
      (entry) => entry.draft.bytes.length,
      APPEND_LIMIT,
    );
  }

  /**
   * Accepts messages in their order, one receipt for each. Once one is refused in a way that may pass, those after
   * it are refused likewise: a sender who repeats what was refused keeps its order.
   * @param limited whether the sender's rate is limited
   */
  async send(sender: Sender, messages: readonly Outgoing[], limited = true): Promise<Receipt[]> {
    const checks = await Promise.all(messages.map((message) => this.#check(sender, message)));
    let stop: CimError | null = null;
    const results = messages.map((message, i): Promise<Accepted> | CimError => {
      const refusal = stop ?? checks[i] ?? (limited ? this.#parts.rates.take(sender.userId) : null);
      if (refusal === null) return this.#appends.add(this.#entry(sender, message));
      if (refusal.retry) stop = refusal;
      return refusal;
    });
    return Promise.all(results.map((result, i) => receipt(messages[i]!.messageId, result)));
  }

  async #check(sender: Sender, message: Outgoing): Promise<CimError | null> {
    try {
      checkMessageId(message.messageId);
      checkContent(message.content);
      await this.#checkConversation(sender, message.conversation);
      return null;
    } catch (error) {
      if (error instanceof CimError) return error;
      throw error;
    }
  }

  async #checkConversation(sender: Sender, name: string): Promise<void> {
    const conversation = parseConversation(name);
    if (conversation.kind === "all") return;
    const peer = peerOf(conversation, sender.userId);
    if (peer === null) throw new CimError("FORBIDDEN", `user ${sender.userId} is not part of ${name}`);
    if (!(await this.#parts.knows(peer)))
      throw new CimError("INVALID", `receiver ${peer}: there is no such account`);
  }

  #entry(sender: Sender, message: Outgoing): Entry {
    const { conversation, messageId, content } = message;
    const at = (this.#parts.now ?? Date.now)();
    const bytes = encodeMessage({
      conversation,
      messageId,
      senderId: BigInt(sender.userId),
      senderName: sender.userName,
      at: BigInt(at),
      content: content as { case: "text"; value: string },
    });
    return {
      draft: { conversation, senderId: sender.userId, messageId, at, bytes },
      sessionId: sender.sessionId,
    };
  }

  async #append(entries: Entry[]): Promise<Accepted[]> {
    const appended = await this.#parts.log.append(entries.map((entry) => entry.draft));
    const deliveries = appended.map((place, i) => delivery(entries[i]!, place));
    // What is stored is accepted, whatever fails from here on: it is marked, and the sweep pushes it.
    const online = await this.#parts.deliver.push(deliveries).catch(() => deliveries.map(() => true));
    return appended.map((place, i) => ({ ...place, online: online[i]! }));
  }
}

/** @throws CimError INVALID */
export function checkMessageId(messageId: string): void {
  const length = [...messageId].length;
  if (length < 1 || length > MAX_MESSAGE_ID_LENGTH || !messageId.isWellFormed()) {
    throw new CimError("INVALID", `messageId of ${length} characters: want 1 to ${MAX_MESSAGE_ID_LENGTH}`);
  }
}

/** @throws CimError INVALID for content that is empty, too large, or text that is not well-formed Unicode */
export function checkContent(content: Content): void {
  if (content.case === "text" && !content.value.isWellFormed()) {
    throw new CimError("INVALID", "the text has a lone surrogate: want well-formed Unicode");
  }
  const bytes = sizeOf(content);
  if (bytes === 0) throw new CimError("INVALID", "the message is empty");
  if (bytes > MAX_CONTENT_BYTES)
    throw new CimError("INVALID", `message of ${bytes} bytes, limit ${MAX_CONTENT_BYTES}`);
}

// Encodes only a text that may be over the limit: no UTF-16 unit takes more than three bytes.
function sizeOf({ case: kind, value }: Content): number {
  return kind === "text" && value.length * 3 > MAX_CONTENT_BYTES
    ? encoder.encode(value).length
    : value.length;
}

function delivery({ draft, sessionId }: Entry, { seq, retry }: Appended): Delivery {
  const { conversation, senderId, bytes } = draft;
  return { conversation, senderId, sessionId, seq, bytes: withSeq(bytes, seq), retry };
}

async function receipt(messageId: string, result: Promise<Accepted> | CimError): Promise<Receipt> {
  try {
    if (result instanceof CimError) throw result;
    const { seq, at, online } = await result;
    return { messageId, status: online ? "SUCCESS" : "RECEIVER_OFFLINE", detail: "", seq, at };
  } catch (error) {
    if (!(error instanceof CimError)) throw error;
    return { messageId, status: error.status, detail: error.message, seq: 0, at: 0 };
  }
}
