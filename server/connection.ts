/** One connection: bytes in, bytes out, and how it ends. What its frames mean is its party's to say. */
import { fromBinary } from "@bufbuild/protobuf";
import { Outbox, type Sent, type Sink } from "../common/outbox.ts";
import type { Timed } from "../common/wheel.ts";
import { encodeFrame, FrameError, FrameReader, MAX_FRAME_BYTES } from "../proto/frame.ts";
import { Command, type Frame, FrameSchema } from "../proto/gen/cim_pb.ts";
import { isPing, peekControl } from "../proto/message.ts";
import { GOODBYES, type GoodbyeReason } from "../proto/status.ts";
import type { Address } from "./capacity.ts";
import type { Parts, Party, Socket } from "./party.ts";

const LOGIN_MS = 10 * 1000;
const HEARTBEATS_OF_SILENCE = 2.5;
/** How long a connection that was said goodbye to may take to close, and then its TLS. */
const LINGER_MS = 5 * 1000;
/** The largest first frame: a token and what stands around it. Who has not logged in gets no more room than that. */
const MAX_LOGIN_BYTES = 4 * 1024;
/** Frames that wait while the login is looked at, and their bytes. */
const MAX_EARLY_FRAMES = 16;
const MAX_EARLY_BYTES = MAX_FRAME_BYTES;
/** Frames of one connection in one step of the wheel; a client has a few. More would take the time of its neighbours. */
const MAX_FRAMES_A_TICK = 10_000;

export class Connection implements Sink, Timed {
  party: Party | null = null;
  /** Why there is no room for it; null when there is. */
  readonly refusal: string | null;
  slot = -1;
  /** A client of ours: it is told why its connection ends. */
  isOurs = false;
  #state: "new" | "checking" | "open" | "closing" | "cut" | "closed" = "new";
  /** When the state began, and when anything came last, on the wheel's clock. */
  #since: number;
  #heard: number;
  #early: Uint8Array[] | null = null;
  /** Frames since `#heard`. */
  #frames = 0;
  readonly #parts: Parts;
  readonly #socket: Socket;
  readonly #address: Address;
  readonly #reader = new FrameReader(MAX_LOGIN_BYTES);
  readonly #outbox: Outbox;

  constructor(parts: Parts, socket: Socket, place: { address: Address; refusal: string | null }) {
    this.#parts = parts;
    this.#socket = socket;
    this.#address = place.address;
    this.refusal = place.refusal;
    this.#outbox = new Outbox(this, parts.config.maxUnsentBytes);
    this.#since = this.#heard = parts.wheel.now;
    parts.wheel.add(this);
    parts.newcomers.add(this);
    parts.meters.connects++;
  }

  get gone(): boolean {
    return this.#state === "closing" || this.#state === "cut" || this.#state === "closed";
  }

  get unsent(): number {
    return this.#outbox.unsent;
  }

  /** From the socket: a view, valid only during the call. */
  data(bytes: Uint8Array): void {
    if (this.gone) return;
    if (this.#heard !== this.#parts.wheel.now) this.#frames = 0;
    this.#heard = this.#parts.wheel.now;
    this.#parts.meters.bytesIn += bytes.length;
    try {
      // A heartbeat comes alone, and is nearly all that most connections ever say.
      if (this.party?.ping && this.#reader.between && isPing(bytes)) {
        this.#count();
        this.#parts.meters.heartbeats++;
        this.party.ping();
        this.#parts.rest?.heartbeat();
      } else this.#reader.cut(bytes, takeFrame, this);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The frame from `from` up to `end`, from the reader: valid only during the call. */
  take(bytes: Uint8Array, from: number, end: number): void {
    if (this.gone) return;
    if (this.#state === "checking") this.#keep(bytes.subarray(from, end));
    else {
      this.#count();
      const control = this.party?.control ? peekControl(bytes, from, end) : null;
      if (control !== null && this.party!.control!(control)) return;
      const frame = decode(bytes.subarray(from, end));
      if (this.party) this.party.frame(frame);
      else this.#parts.login(this, frame, this.#parts).catch((error) => this.#failed(error));
    }
  }

  drained(): void {
    this.#outbox.drained();
  }

  /** The socket is gone. */
  closed(): void {
    if (this.#state === "closed") return;
    this.#leave(true);
    this.#state = "closed";
    this.#outbox.close();
    this.#parts.wheel.remove(this);
    this.#parts.newcomers.delete(this);
    this.#parts.capacity.leave(this.#address);
  }

  write(bytes: Uint8Array): number {
    const taken = this.#socket.write(bytes);
    if (taken > 0) {
      this.#parts.meters.writes++;
      this.#parts.meters.bytesOut += taken;
    }
    return taken;
  }

  emptied(): void {
    this.party?.emptied();
    if (this.#state === "closing") this.#socket.shutdown();
  }

  /** The login is being looked at: what comes meanwhile waits. */
  check(isOurs: boolean): void {
    this.isOurs = isOurs;
    this.#state = "checking";
    this.#since = this.#parts.wheel.now;
    this.#reader.maxFrameBytes = MAX_FRAME_BYTES;
  }

  /** The login is accepted. An older connection of the same session ends, and the session goes on in this one. */
  admit(party: Party): void {
    const before = this.#parts.sessions.add(this, party.session);
    this.#parts.newcomers.delete(this);
    this.party = party;
    this.#state = "open";
    before?.end("replaced");
    this.watch();
    this.#parts.meters.logins++;
  }

  /** What came while the login was looked at has its turn. */
  admitted(): void {
    const early = this.#early ?? [];
    this.#early = null;
    try {
      for (const frame of early) this.take(frame, 0, frame.length);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Writes a frame that cannot be left out: a client that does not take it is slow. */
  reply(frame: Uint8Array): void {
    if (this.send(frame, false) === "slow") this.end("slow");
  }

  /** Writes a frame that answers all that was just read. */
  answer(frame: Uint8Array): void {
    if (!this.gone && this.#outbox.answer(frame) === "slow") this.end("slow");
  }

  /** Writes a frame, or answers why not. */
  send(frame: Uint8Array, more: boolean): Sent {
    return this.gone ? "closed" : this.#outbox.send(frame, more);
  }

  /**
   * Ends the connection: a client of ours is told why, any other is not.
   * @param told the route knows already that the session is over
   */
  end(reason: GoodbyeReason, text: string = GOODBYES[reason].text, afterMs = 0, told = false): void {
    if (this.gone) return;
    const wasOpen = this.#leave(!told);
    this.#parts.meters.countEnd(this.isOurs ? reason : "");
    this.#parts.log.debug(
      { reason, text, address: this.#address.text, ...this.party?.session },
      "a connection ends",
    );
    this.#state = "closing";
    if (!wasOpen && !this.isOurs) {
      this.#cut();
      return;
    }
    if (this.isOurs)
      this.#outbox.send(
        encodeFrame({ cmd: Command.CONTROL, body: { case: "goodbye", value: { reason, text, afterMs } } }),
      );
    this.#since = this.#parts.wheel.now;
    this.watch();
    if (this.#outbox.unsent === 0) this.#socket.shutdown();
  }

  /** The deadline may have come nearer. */
  watch(): void {
    if (this.#state !== "closed") this.#parts.wheel.add(this);
  }

  get due(): number {
    if (this.gone) return this.#since + LINGER_MS;
    if (this.#state !== "open") return this.#since + LOGIN_MS;
    return Math.min(this.#silentAt, this.party!.slowAt);
  }

  expire(): void {
    if (this.#state === "closing") this.#cut();
    else if (this.#state === "cut") this.#socket.terminate();
    else if (this.#state !== "open") this.end("no_login");
    else this.end(this.#silentAt <= this.#parts.wheel.now ? "silent" : "slow");
  }

  #cut(): void {
    this.#state = "cut";
    this.#since = this.#parts.wheel.now;
    this.#socket.end();
    this.watch();
  }

  get #silentAt(): number {
    return this.#heard + HEARTBEATS_OF_SILENCE * this.#parts.config.heartbeatMs;
  }

  #count(): void {
    this.#parts.meters.framesIn++;
    if (++this.#frames > MAX_FRAMES_A_TICK)
      throw new FrameError(`more than ${MAX_FRAMES_A_TICK} frames in ${this.#parts.wheel.tickMs} ms`);
  }

  #keep(frame: Uint8Array): void {
    this.#early ??= [];
    const count = this.#early.push(new Uint8Array(frame));
    const bytes = this.#early.reduce((sum, { length }) => sum + length, 0);
    if (count <= MAX_EARLY_FRAMES && bytes <= MAX_EARLY_BYTES) return;
    throw new FrameError(`${count} frames of ${bytes} bytes before the answer to the login`);
  }

  /** The session is over here; answers whether there was one. */
  #leave(release: boolean): boolean {
    if (this.#state !== "open") return false;
    const { session } = this.party!;
    // A session that another connection took over goes on.
    if (this.#parts.sessions.remove(this, session) && release) this.#parts.uplink.release(session);
    return true;
  }

  #failed(error: unknown): void {
    if (error instanceof FrameError) {
      this.end("bad_frame", error.message);
      return;
    }
    this.#parts.log.error({ error: String(error), stack: (error as Error).stack }, "a connection failed");
    this.end("unavailable");
  }
}

/** One for all connections. */
function takeFrame(bytes: Uint8Array, from: number, end: number, connection: Connection): void {
  connection.take(bytes, from, end);
}

function decode(bytes: Uint8Array): Frame {
  if (bytes.length === 0) throw new FrameError("an empty frame");
  try {
    return fromBinary(FrameSchema, bytes);
  } catch (error) {
    throw new FrameError(
      `a frame of ${bytes.length} bytes that cannot be decoded: ${(error as Error).message}`,
    );
  }
}
