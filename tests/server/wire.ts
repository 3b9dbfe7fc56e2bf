/** A client's end of a connection, raw: bytes and frames as they are, nothing done by itself. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { encodeFrame, FrameReader } from "../../proto/frame.ts";
import {
  Command,
  type Frame,
  FrameSchema,
  type Message,
  type Pages,
  PagesSchema,
  SendSchema,
  type Sent,
  SentSchema,
} from "../../proto/gen/cim_pb.ts";
import { decodeMessage } from "../../proto/message.ts";

export type FrameInit = MessageInitShape<typeof FrameSchema>;
export type FrameBody = Exclude<FrameInit, Frame>["body"];
type Body = Frame["body"];
type BodyOf<C> = Extract<Body, { case: C }>["value"];

export class Wire {
  /** Frames that nobody has asked for yet. */
  readonly frames: Frame[] = [];
  /** Resolves when the server has ended the connection, or the network did. */
  readonly ended: Promise<void>;
  bytesReceived = 0;
  readonly #socket: Bun.Socket;
  readonly #wake: (() => void)[];
  #unsent: Uint8Array = new Uint8Array();

  private constructor(socket: Bun.Socket, ended: Promise<void>, wake: (() => void)[]) {
    this.#socket = socket;
    this.ended = ended;
    this.#wake = wake;
  }

  static async connect(port: number, options: { tls?: boolean; hostname?: string } = {}): Promise<Wire> {
    const reader = new FrameReader(64 * 1024 * 1024);
    const ended = Promise.withResolvers<void>();
    const wake: (() => void)[] = [];
    let wire: Wire | null = null;
    const stir = () => {
      for (const one of wake.splice(0)) one();
    };
    const socket = await Bun.connect({
      hostname: options.hostname ?? "127.0.0.1",
      port,
      tls: options.tls ? { rejectUnauthorized: false } : undefined,
      socket: {
        data(_, bytes) {
          wire!.bytesReceived += bytes.length;
          reader.push(bytes, (frame) => void wire!.frames.push(fromBinary(FrameSchema, frame)));
          stir();
        },
        drain: () => wire!.#flush(),
        close() {
          ended.resolve();
          stir();
        },
        error: () => undefined,
      },
    });
    wire = new Wire(socket, ended.promise, wake);
    void ended.promise.then(() => Object.assign(wire, { over: true }));
    return wire;
  }

  /** The connection has ended. */
  over = false;

  /** The next frame; throws when the connection ends without one. */
  next(): Promise<Frame> {
    return this.#first(() => true);
  }

  /** The next frame's body, which must be of this kind. */
  async body<C extends Body["case"]>(kind: C): Promise<BodyOf<C>> {
    const frame = await this.next();
    if (frame.body.case !== kind)
      throw new Error(
        `a ${frame.body.case ?? Command[frame.cmd]} ${JSON.stringify(frame.body.value, text)}, want ${kind}`,
      );
    return (frame.body as { value?: unknown }).value as BodyOf<C>;
  }

  async message(): Promise<Message> {
    return decodeMessage(await this.body("message"));
  }

  async sent(): Promise<Sent> {
    return fromBinary(SentSchema, await this.body("sent"));
  }

  async pages(): Promise<Pages> {
    return fromBinary(PagesSchema, await this.body("pages"));
  }

  async goodbye(): Promise<{ reason: string; text: string }> {
    const { reason, text } = await this.body("goodbye");
    return { reason, text };
  }

  write(bytes: Uint8Array): void {
    const all = new Uint8Array(this.#unsent.length + bytes.length);
    all.set(this.#unsent);
    all.set(bytes, this.#unsent.length);
    this.#unsent = all;
    this.#flush();
  }

  frame(frame: FrameInit): void {
    this.write(encodeFrame(frame));
  }

  control(body: FrameBody): void {
    this.frame({ cmd: Command.CONTROL, body });
  }

  login(token: string): void {
    this.frame({ cmd: Command.LOGIN, body: { case: "login", value: { token, client: "test/1" } } });
  }

  send(conversation: string, ...texts: string[]): void {
    const messages = texts.map((text) => ({
      conversation,
      messageId: text,
      content: { case: "text" as const, value: text },
    }));
    this.control({ case: "send", value: toBinary(SendSchema, create(SendSchema, { messages })) });
  }

  ack(conversation: string, seq: number): void {
    this.control({ case: "ack", value: { cursors: [{ conversation, seq: BigInt(seq) }] } });
  }

  /** Resolves with the pong; what came before it is left for `next`. */
  ping(requestId = 1n): Promise<Frame> {
    this.frame({ cmd: Command.PING, requestId, text: "ping" });
    return this.#first(({ cmd }) => cmd === Command.PING);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Gone without a word. */
  drop(): void {
    this.#socket.terminate();
  }

  async #first(isWanted: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const at = this.frames.findIndex(isWanted);
      if (at >= 0) return this.frames.splice(at, 1)[0]!;
      if (this.over) throw new Error("the connection ended");
      await new Promise<void>((resolve) => this.#wake.push(resolve));
      // `over` is known a moment after the socket has closed.
      await Promise.resolve();
    }
  }

  #flush(): void {
    const taken = this.#socket.write(this.#unsent);
    if (taken > 0) this.#unsent = this.#unsent.subarray(taken);
  }
}

function text(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
