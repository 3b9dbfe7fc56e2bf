/** One connection to a server: frames out, frames in, alive or ended with a reason. */
import { fromBinary } from "@bufbuild/protobuf";
import { encodeFrame, FrameError, FrameReader } from "../../proto/frame.ts";
import { Command, type Frame, FrameSchema, type Welcome } from "../../proto/gen/cim_pb.ts";
import { type Advice, goodbye } from "../../proto/status.ts";
import type { Clock } from "./clock.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Dial, Transport } from "./transport.ts";
import type { ServerInfo } from "./types.ts";

export interface ConnectionOptions {
  dial: Dial;
  clock: Clock;
  server: ServerInfo;
  token: string;
  /** Name and version, for the server's log. */
  client: string;
  /** Ends the connection, open or not; what was written still leaves, and `onEnd` is not called. */
  signal: AbortSignal;
  /** Everything from the welcome on but signs of life and the goodbye. */
  onFrame(frame: Frame): void;
  /** Called once. */
  onEnd(end: ConnectionEnd): void;
}

/** Why a connection ended, or was not made, and what to do about it. */
export class ConnectionEnd extends Error {
  override name = "ConnectionEnd";

  /** @param reason the name of a goodbye, or "lost" */
  constructor(
    readonly reason: string,
    message: string,
    readonly advice: Advice = "reconnect",
    readonly afterMs = 0,
  ) {
    super(message);
  }
}

export interface Connection {
  readonly welcome: Welcome;
  /** Sends a frame; one that comes too late is dropped. */
  write(frame: Parameters<typeof encodeFrame>[0]): void;
}

/** How long reaching a server and logging in there may take. */
const OPEN_TIMEOUT_MS = 10 * 1000;

/** @throws ConnectionEnd when the server cannot be reached or does not want this login */
export function openConnection(options: ConnectionOptions): Promise<Connection> {
  return new Promise((resolve, reject) => new ServerConnection(options, resolve, reject));
}

class ServerConnection {
  readonly #options: ConnectionOptions;
  readonly #resolve: (connection: Connection) => void;
  readonly #reject: (end: ConnectionEnd) => void;
  readonly #reader = new FrameReader();
  readonly #abort = new AbortController();
  readonly #cancelTimeout: () => void;
  #transport: Transport | null = null;
  #heartbeat: Heartbeat | null = null;
  #state: "opening" | "open" | "ended" = "opening";

  constructor(
    options: ConnectionOptions,
    resolve: (connection: Connection) => void,
    reject: (end: ConnectionEnd) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    const { host, port } = options.server;
    this.#cancelTimeout = options.clock.after(OPEN_TIMEOUT_MS, () =>
      this.#end(new ConnectionEnd("lost", `no welcome from ${host}:${port} in ${OPEN_TIMEOUT_MS} ms`)),
    );
    options.signal.addEventListener("abort", this.#abandon, { once: true });
    void this.#dial();
  }

  async #dial(): Promise<void> {
    const { dial, server, token, client } = this.#options;
    const events = {
      data: (bytes: Uint8Array) => this.#read(bytes),
      closed: (why: string) => this.#end(new ConnectionEnd("lost", why)),
    };
    try {
      const transport = await dial(server, events, this.#abort.signal);
      if (this.#state === "ended") return transport.close();
      this.#transport = transport;
      this.#write({ cmd: Command.LOGIN, body: { case: "login", value: { token, client } } });
    } catch (error) {
      this.#end(new ConnectionEnd("lost", (error as Error).message));
    }
  }

  #read(bytes: Uint8Array): void {
    try {
      this.#reader.push(bytes, (frame) => this.#take(fromBinary(FrameSchema, frame)));
    } catch (error) {
      const what = error instanceof FrameError ? error.message : `not a frame (${(error as Error).message})`;
      this.#end(new ConnectionEnd("lost", `the server sent what cannot be read: ${what}`));
    }
  }

  #take(frame: Frame): void {
    this.#heartbeat?.heard();
    const { body } = frame;
    if (this.#state === "ended") return;
    if (body.case === "goodbye") {
      const { reason, text, afterMs } = body.value;
      const known = goodbye(reason);
      this.#end(new ConnectionEnd(reason, text || known.text, known.advice, afterMs));
    } else if (this.#state === "opening") {
      if (body.case === "welcome") this.#welcomed(body.value);
    } else if (frame.cmd !== Command.PING) this.#options.onFrame(frame);
  }

  #welcomed(welcome: Welcome): void {
    this.#state = "open";
    this.#cancelTimeout();
    this.#heartbeat = new Heartbeat({
      clock: this.#options.clock,
      everyMs: welcome.heartbeatMs,
      ping: () => this.#write({ cmd: Command.PING }),
      dead: (silentMs) =>
        this.#end(
          new ConnectionEnd("lost", `nothing was heard from the server for ${Math.round(silentMs)} ms`),
        ),
    });
    this.#resolve({ welcome, write: (frame) => this.#write(frame) });
  }

  #write(frame: Parameters<typeof encodeFrame>[0]): void {
    this.#heartbeat?.wrote();
    this.#transport?.write(encodeFrame(frame));
  }

  #end(end: ConnectionEnd): void {
    const before = this.#state;
    if (before === "ended") return;
    this.#shut();
    if (before === "opening") this.#reject(end);
    else this.#options.onEnd(end);
  }

  readonly #abandon = () => {
    const before = this.#state;
    this.#shut();
    if (before === "opening") this.#reject(new ConnectionEnd("lost", "called off"));
  };

  #shut(): void {
    this.#state = "ended";
    this.#options.signal.removeEventListener("abort", this.#abandon);
    this.#cancelTimeout();
    this.#heartbeat?.stop();
    this.#abort.abort(new Error("called off"));
    this.#transport?.close();
    this.#transport = null;
  }
}
