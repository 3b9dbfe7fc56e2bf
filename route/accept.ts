/** Into the log: what a sender may say, how often, and that it is stored before anyone is told so. */
import { Batcher } from "../common/batch.ts";
import { parseConversation, peerOf } from "../proto/conversation.ts";
import { BYTE_ORDER_MARK, MAX_CONTENT_BYTES, MAX_MESSAGE_ID_LENGTH } from "../proto/frame.ts";
import { type Content, encodeMessage } from "../proto/message.ts";
import type { Outgoing } from "../proto/send.ts";
import { CimError, type StatusName } from "../proto/status.ts";
import type { Outbound } from "./addressing.ts";
import type { Connected, Deliver } from "./deliver.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { Appended, Draft } from "./store/log.ts";

export interface Sender {
  userId: number;
  userName: string;
  /** The session that sends; "" for none (a backend, a CIM v2 peer). */
  sessionId: string;
}

/** Messages that one sender sends together. */
export interface Sending {
  sender: Sender;
  messages: readonly Outgoing[];
  /** Whether the sender's rate is limited. Default true. */
  limited?: boolean;
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
  /** Puts messages into the log, and answers with their places which sessions of these users are connected then. */
  enter: (
    drafts: readonly Draft[],
    userIds: readonly number[],
  ) => Promise<{ places: Appended[]; connected: Promise<Connected> }>;
  deliver: Pick<Deliver, "push" | "partiesOf">;
  /** Which of these accounts exist. */
  known: (userIds: readonly number[]) => Promise<ReadonlySet<number>>;
  rates: RateLimit;
  now?: () => number;
}

interface Entry {
  sender: Sender;
  message: Outgoing;
  /** Null: everyone. */
  receiverId: number | null;
}

/** Where a message stands, and whether a receiver is online. */
interface Accepted extends Appended {
  online: boolean;
}

/** A group that stands in the log and is on its way. */
interface Standing {
  places: Appended[];
  online: Promise<boolean[]>;
}

/** Groups of messages in one append, and their bytes: as long as it takes, everyone waits. */
const APPEND_LIMIT = { maxItems: 2000, maxBytes: 512 * 1024, concurrency: 2, besideBytes: 64 * 1024 };

/** Of what is sent in one turn of the event loop, by whomever, as much goes on as one group. */
const TURN_LIMIT = { maxBytes: APPEND_LIMIT.maxBytes, concurrency: Number.POSITIVE_INFINITY };

/** What stands around the content of a message. */
const ENTRY_BYTES = 64;

const encoder = new TextEncoder();

export class Accept {
  readonly #parts: AcceptParts;
  // Two under way at a time, if they are large: while the store has one, the next is made ready. Messages of one sender
  // are never in both, since it waits for its receipts.
  readonly #appends: Batcher<Entry[], Standing>;
  // Many requests at a time cost half as much together as each alone, which is mostly promises.
  readonly #turn: Batcher<Sending, Receipt[]>;

  constructor(parts: AcceptParts) {
    this.#parts = parts;
    const sizeOfEntries = (entries: Entry[]) =>
      entries.reduce((sum, { message }) => sum + bytesOf(message), 0);
    this.#appends = new Batcher((groups) => this.#append(groups), sizeOfEntries, APPEND_LIMIT);
    const sizeOfSending = ({ messages }: Sending) => messages.reduce((sum, one) => sum + bytesOf(one), 0);
    this.#turn = new Batcher((sendings) => this.sendAll(sendings), sizeOfSending, TURN_LIMIT);
  }

  /**
   * Accepts messages in their order, one receipt for each. Once one is refused in a way that may pass, those after
   * it are refused likewise: a sender who repeats what was refused keeps its order.
   */
  send(sending: Sending): Promise<Receipt[]> {
    return this.#turn.add(sending);
  }

  /** The same for what several send, in one step: a refusal concerns what came with it. */
  async sendAll(sendings: readonly Sending[]): Promise<Receipt[][]> {
    const receivers = sendings.map(({ sender, messages }) =>
      messages.map((message) => receiverOf(sender, message)),
    );
    const known = await this.#parts.known(
      receivers.flat().filter((receiver) => typeof receiver === "number"),
    );
    const entries: Entry[] = [];
    const refusals = sendings.map((sending, k) => this.#admit(sending, receivers[k]!, known, entries));
    const accepted = await this.#accepted(entries);
    let next = 0;
    return sendings.map(({ messages }, k) =>
      messages.map(({ messageId }, i) => receipt(messageId, refusals[k]![i] ?? accepted(next++))),
    );
  }

  /** Adds to `entries` what is to be accepted, and answers for each message why it is not, or null. */
  #admit(
    { sender, messages, limited = true }: Sending,
    receivers: readonly (number | null | CimError)[],
    known: ReadonlySet<number>,
    entries: Entry[],
  ): (CimError | null)[] {
    let stop: CimError | null = null;
    return messages.map((message, i) => {
      const receiver = receivers[i]!;
      const refusal =
        stop ?? refusalOf(receiver, known) ?? (limited ? this.#parts.rates.take(sender.userId) : null);
      if (refusal === null) entries.push({ sender, message, receiverId: receiver as number | null });
      else if (refusal.retry) stop = refusal;
      return refusal;
    });
  }

  /** What became of each entry: all of a group stand, or none does. */
  async #accepted(entries: Entry[]): Promise<(i: number) => Accepted | CimError> {
    if (entries.length === 0) return () => new CimError("FAILURE");
    try {
      const { places, online } = await this.#appends.add(entries);
      const isOnline = await online;
      return (i) => ({ ...places[i]!, online: isOnline[i]! });
    } catch (error) {
      if (!(error instanceof CimError)) throw error;
      return () => error;
    }
  }

  async #append(groups: Entry[][]): Promise<Standing[]> {
    const entries = groups.flat();
    // From here on it counts how long a message has been marked: what waited for its turn was not.
    const at = (this.#parts.now ?? Date.now)();
    const drafts = entries.map((entry) => draftOf(entry, at));
    const { enter, deliver } = this.#parts;
    const parties = entries.map(({ sender, receiverId }) => ({ senderId: sender.userId, receiverId }));
    const { places, connected } = await enter(drafts, deliver.partiesOf(parties));
    const outbound = places.map((place, i) => toPush(entries[i]!, drafts[i]!, place));
    // What is stored is accepted, whatever fails from here on: it is marked, and the sweep pushes it. Nor does the
    // next append wait for this.
    const online = deliver.push(outbound, connected).catch(() => outbound.map(() => true));
    let next = 0;
    return groups.map(({ length }) => {
      const from = next;
      next += length;
      return {
        places: places.slice(from, next),
        online: online.then((all) => all.slice(from, from + length)),
      };
    });
  }
}

/** About how many bytes a message takes. */
function bytesOf({ content }: Outgoing): number {
  return content.value.length + ENTRY_BYTES;
}

function draftOf({ sender, message }: Entry, at: number): Draft {
  const { conversation, messageId, content } = message;
  const { userId: senderId, userName: senderName } = sender;
  const bytes = encodeMessage({ conversation, messageId, senderId, senderName, at, content });
  return { conversation, senderId, messageId, at, bytes };
}

/** The account it is for, null for everyone, or why it cannot be accepted (INVALID, FORBIDDEN). */
function receiverOf(sender: Sender, message: Outgoing): number | null | CimError {
  try {
    return check(sender, message);
  } catch (error) {
    if (error instanceof CimError) return error;
    throw error;
  }
}

/** Answers the account it is for, or null for everyone. @throws CimError INVALID, FORBIDDEN */
function check(sender: Sender, { conversation: name, messageId, content }: Outgoing): number | null {
  checkMessageId(messageId);
  checkContent(content);
  const conversation = parseConversation(name);
  if (conversation.kind === "all") return null;
  const peer = peerOf(conversation, sender.userId);
  if (peer === null) throw new CimError("FORBIDDEN", `user ${sender.userId} is not part of ${name}`);
  return peer;
}

function refusalOf(receiver: number | null | CimError, known: ReadonlySet<number>): CimError | null {
  if (receiver instanceof CimError) return receiver;
  if (receiver === null || known.has(receiver)) return null;
  return new CimError("INVALID", `receiver ${receiver}: there is no such account`);
}

/** @throws CimError INVALID */
export function checkMessageId(messageId: string): void {
  // No text has more characters than UTF-16 units.
  const length = messageId.length > MAX_MESSAGE_ID_LENGTH ? [...messageId].length : messageId.length;
  if (length < 1 || length > MAX_MESSAGE_ID_LENGTH || !messageId.isWellFormed()) {
    throw new CimError("INVALID", `messageId of ${length} characters: want 1 to ${MAX_MESSAGE_ID_LENGTH}`);
  }
  if (messageId.startsWith(BYTE_ORDER_MARK))
    throw new CimError("INVALID", "messageId that begins with a byte order mark (U+FEFF)");
}

/** @throws CimError INVALID for content that is empty, too large, or text that is not well-formed Unicode */
export function checkContent(content: Content): void {
  if (typeof content.value === "string" && !content.value.isWellFormed()) {
    throw new CimError("INVALID", "the text has a lone surrogate: want well-formed Unicode");
  }
  const bytes = sizeOf(content);
  if (bytes === 0) throw new CimError("INVALID", "the message is empty");
  if (bytes > MAX_CONTENT_BYTES)
    throw new CimError("INVALID", `message of ${bytes} bytes, limit ${MAX_CONTENT_BYTES}`);
}

// Encodes only a text that may be over the limit: no UTF-16 unit takes more than three bytes.
function sizeOf({ value }: Content): number {
  return typeof value === "string" && value.length * 3 > MAX_CONTENT_BYTES
    ? encoder.encode(value).length
    : value.length;
}

function toPush({ sender, receiverId }: Entry, draft: Draft, { seq, retry }: Appended): Outbound {
  const { conversation, senderId, bytes } = draft;
  const { sessionId } = sender;
  return { conversation, senderId, receiverId, sessionId, seq, bytes, retry };
}

function receipt(messageId: string, result: Accepted | CimError): Receipt {
  if (result instanceof CimError)
    return { messageId, status: result.status, detail: result.message, seq: 0, at: 0 };
  const { seq, at, online } = result;
  return { messageId, status: online ? "SUCCESS" : "RECEIVER_OFFLINE", detail: "", seq, at };
}
