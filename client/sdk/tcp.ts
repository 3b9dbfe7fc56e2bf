/** TCP under Bun: the only file of the SDK that knows Bun's sockets. */
import { Outbox } from "../../common/outbox.ts";
import type { Dial, Transport } from "./transport.ts";

/** What waits for the network here: a batch of messages, acknowledgements and questions fit many times. */
const MAX_UNSENT_BYTES = 1024 * 1024;
/** How long what was written may take to leave once the connection is given up. */
const LINGER_MS = 5 * 1000;

/** @throws Error when `server` cannot be reached, which names it */
export const tcp: Dial = async (server, events, signal) => {
  let outbox: Outbox | null = null;
  let ended = false;
  const end = (why: string) => {
    outbox?.close();
    if (ended) return;
    ended = true;
    events.closed(why);
  };
  const opening = Bun.connect({
    hostname: server.host,
    port: server.port,
    tls: server.tls || undefined,
    socket: {
      data: (_, bytes) => {
        if (!ended) events.data(bytes);
      },
      drain: () => outbox?.drained(),
      close: (_, error) => end(error?.message ?? "the server closed the connection"),
      error: (_, error) => end(error.message),
      end: (socket) => void socket.end(),
      handshake: (socket, _, error) => {
        if (error === null) return;
        end(`TLS with ${server.host}:${server.port}: ${error.message}`);
        socket.terminate();
      },
      // The promise rejects as well: there is nothing to add here.
      connectError: () => {},
    },
  });
  const socket = await withSignal(opening, signal, (late) => late.terminate()).catch((error: Error) => {
    throw new Error(`${server.host}:${server.port}: ${error.message}`, { cause: error });
  });
  socket.setNoDelay(true);
  const open = new Outbox(socket, MAX_UNSENT_BYTES);
  outbox = open;
  return {
    write(bytes) {
      if (open.send(bytes) !== "slow") return;
      socket.terminate();
      end(`${open.unsent} bytes wait for the network, limit ${MAX_UNSENT_BYTES}`);
    },
    close() {
      ended = true;
      open.flush();
      socket.end();
      // A network that takes nothing more would keep it for as long as it likes.
      setTimeout(() => socket.terminate(), LINGER_MS).unref();
    },
  } satisfies Transport;
};

/** What was opened, unless the signal comes first; what opens after that is given to `late`. */
function withSignal<T>(opening: Promise<T>, signal: AbortSignal, late: (opened: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    opening
      .then((opened) => (signal.aborted ? late(opened) : resolve(opened)), reject)
      .finally(() => {
        signal.removeEventListener("abort", abort);
      });
  });
}
