/** A server that says what it is told to: frames on a real socket. */
import { fromBinary } from "@bufbuild/protobuf";
import type { ServerInfo } from "../../../client/sdk/types.ts";
import { encodeFrame, FrameReader } from "../../../proto/frame.ts";
import { Command, type Frame, FrameSchema } from "../../../proto/gen/cim_pb.ts";

type Say = (frame: Parameters<typeof encodeFrame>[0] | Uint8Array) => void;

interface Data {
  reader: FrameReader;
}

export class Scripted {
  /** What clients said. */
  readonly heard: Frame[] = [];
  readonly #listener: Bun.TCPSocketListener<Data>;
  #sockets = new Set<Bun.Socket<Data>>();

  /** @param answer called with each frame heard */
  constructor(answer: (frame: Frame, say: Say, end: () => void) => void) {
    this.#listener = Bun.listen<Data>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => {
          socket.data = { reader: new FrameReader() };
          this.#sockets.add(socket);
        },
        data: (socket, bytes) => {
          socket.data.reader.push(bytes, (encoded) => {
            const frame = fromBinary(FrameSchema, encoded);
            this.heard.push(frame);
            const say: Say = (said) => socket.write(said instanceof Uint8Array ? said : encodeFrame(said));
            answer(frame, say, () => socket.end());
          });
        },
        close: (socket) => void this.#sockets.delete(socket),
      },
    });
  }

  get address(): ServerInfo {
    return { host: "127.0.0.1", port: this.#listener.port, httpPort: 1, tls: false, webSocketUrl: "" };
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
  }
}

export function welcome(heartbeatMs = 60_000) {
  const limits = { maxFrameBytes: 65536, maxContentBytes: 61440 };
  return {
    cmd: Command.CONTROL,
    body: { case: "welcome" as const, value: { sessionId: "s", heartbeatMs, ...limits } },
  };
}

export function goodbyeFrame(reason: string, afterMs = 0) {
  return { cmd: Command.CONTROL, body: { case: "goodbye" as const, value: { reason, text: "", afterMs } } };
}
