/** A client of ours on its connection: what it says and asks, what it is pushed, what it is answered. */
import { type Cursor, readAck } from "../proto/ack.ts";
import { ALL } from "../proto/conversation.ts";
import { encodeFrame, FrameError } from "../proto/frame.ts";
import { Command, type Frame, type Sync } from "../proto/gen/cim_pb.ts";
import { ACK_FIELD, type Control, SEND_FIELD, sentFrame } from "../proto/message.ts";
import { GOODBYES, type GoodbyeReason, STATUS } from "../proto/status.ts";
import type { Result } from "../proto/uplink.ts";
import { WireReader } from "../proto/wire.ts";
import type { Connection } from "./connection.ts";
import { Flow } from "./flow.ts";
import type { Parts, Party } from "./party.ts";
import type { Push } from "./push.ts";
import type { Session } from "./sessions.ts";
import type { Asked } from "./uplink-queue.ts";

/** How long a client that fell behind may take to read what is written already. */
export const SLOW_MS = 30 * 1000;
/** Sends and syncs without an answer; a client needs one of each. */
const MAX_UNANSWERED = 16;
/** Conversations in one Sync, as the route takes them. */
const MAX_SYNCED = 100;
const MAX_NAME_LENGTH = 64;

export class Client implements Party {
  readonly session: Session;
  readonly #connection: Connection;
  readonly #parts: Parts;
  #unanswered = 0;
  /** Null until something is pushed, and again when a heartbeat finds everything acknowledged. */
  #flow: Flow | null = null;

  constructor(connection: Connection, session: Session, parts: Parts) {
    this.#connection = connection;
    this.session = session;
    this.#parts = parts;
  }

  get gone(): boolean {
    return this.#connection.gone;
  }

  get slowAt(): number {
    return (this.#flow?.slowSince ?? Number.POSITIVE_INFINITY) + SLOW_MS;
  }

  frame(frame: Frame): void {
    const { cmd, requestId, body } = frame;
    if (cmd === Command.PING && body.case === undefined) {
      this.#alive();
      this.#connection.reply(requestId === 0n ? PONG : pong(requestId));
    } else if (cmd !== Command.CONTROL) throw new FrameError(`a frame of command ${cmd} after the login`);
    else if (body.case === "send") this.#send(new Uint8Array(body.value));
    else if (body.case === "sync") this.#sync(body.value);
    else if (body.case === "ack")
      this.#ack(body.value.cursors.map(({ conversation, seq }) => ({ conversation, seq: Number(seq) })));
    else throw new FrameError(`a frame with ${body.case ?? "no body we know"} from a client`);
  }

  /** The two that make up nearly all there is. */
  control({ field, bytes, from, end }: Control): boolean {
    // A copy: it is a view of what the socket read. By the array's own method, since a Buffer's makes views.
    if (field === SEND_FIELD) this.#send(Uint8Array.prototype.slice.call(bytes, from, end));
    else if (field === ACK_FIELD) this.#ack(decode(new WireReader(bytes, from, end)));
    else return false;
    return true;
  }

  ping(): void {
    this.#alive();
    this.#connection.answer(PONG);
  }

  push(push: Push, more: boolean): void {
    const now = this.#parts.wheel.now;
    this.#flow ??= new Flow();
    const sent = this.#flow.open ? this.#connection.send(push.frame, more) : "held";
    if (sent === "taken") {
      this.#flow.pushed(push.conversation, push.seq, push.frame.length, now);
      this.#parts.meters.pushes++;
    } else if (sent !== "closed") {
      this.#flow.leftOut(push.conversation, sent === "slow", now);
      this.#parts.meters.pushesLeftOut++;
      if (sent === "slow") this.#connection.watch();
    }
  }

  catchUp(): void {
    // A client of ours asks for itself.
  }

  lookAgain(everything: boolean): void {
    // Before what the client then asks: the route answers it in this order.
    if (everything) this.#parts.uplink.confirm(this.session, this);
    this.#answer({ case: "lagging", value: { conversations: everything ? [] : [ALL] } });
  }

  emptied(): void {
    this.#flow?.emptied();
    this.#resume();
  }

  answered(asked: Asked, { code, text, goodbye, sent, pages }: Result): void {
    if (asked === "send" || asked === "sync") this.#unanswered--;
    const fine = code === STATUS.SUCCESS.code;
    if (this.gone) return;
    if (goodbye !== "")
      this.#connection.end(
        goodbye as GoodbyeReason,
        GOODBYES[goodbye as GoodbyeReason]?.text ?? text,
        0,
        true,
      );
    else if (asked === "send" && (fine || sent.length > 0)) this.#connection.reply(sentFrame(sent));
    else if (asked === "sync" && fine) this.#answer({ case: "pages", value: pages });
    else if (asked === "confirm") this.#connection.end("session_over", text, 0, true);
    else this.#connection.end("bad_frame", `a ${asked} that the route refused: ${text}`);
  }

  /** It pinged. */
  #alive(): void {
    if (this.#flow === null) return;
    this.#flow.pinged(this.#parts.wheel.now);
    this.#resume();
    if (this.#flow.settled) this.#flow = null;
  }

  /** @param send kept */
  #send(send: Uint8Array): void {
    this.#ask();
    this.#parts.uplink.send(this.session, send, this);
  }

  #sync(sync: Sync): void {
    if (sync.after.length > MAX_SYNCED)
      throw new FrameError(`a sync of ${sync.after.length} conversations, limit ${MAX_SYNCED}`);
    for (const { conversation } of sync.after) checkName(conversation);
    checkName(sync.from);
    this.#ask();
    this.#parts.uplink.sync(this.session, sync, this);
  }

  #ack(cursors: readonly Cursor[]): void {
    for (const { conversation, seq } of cursors) {
      checkName(conversation);
      if (seq > Number.MAX_SAFE_INTEGER)
        throw new FrameError(`an acknowledgement of ${seq}, which is no seq`);
      this.#parts.uplink.ack(this.session, conversation, seq);
    }
    this.#flow?.acknowledged(cursors, this.#parts.wheel.now);
    this.#resume();
  }

  /** Pushes go on when there is room again; the client is told that it missed some. */
  #resume(): void {
    const conversations = this.#flow?.resume();
    if (conversations) this.#answer({ case: "lagging", value: { conversations } });
  }

  #ask(): void {
    if (++this.#unanswered > MAX_UNANSWERED)
      throw new FrameError(`more than ${MAX_UNANSWERED} sends and syncs without an answer`);
  }

  #answer(body: NonNullable<Parameters<typeof encodeFrame>[0]>["body"]): void {
    this.#connection.reply(encodeFrame({ cmd: Command.CONTROL, body }));
  }
}

const PONG = pong(0n);

function checkName(conversation: string): void {
  if (conversation.length <= MAX_NAME_LENGTH) return;
  throw new FrameError(
    `a conversation's name of ${conversation.length} characters, limit ${MAX_NAME_LENGTH}`,
  );
}

function decode(ack: WireReader): Cursor[] {
  try {
    return readAck(ack);
  } catch (error) {
    throw new FrameError(`an acknowledgement that cannot be decoded: ${(error as Error).message}`);
  }
}

export function pong(requestId: bigint): Uint8Array {
  return encodeFrame({ cmd: Command.PING, text: "pong", requestId });
}
