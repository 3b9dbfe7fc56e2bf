/** A WebSocket as the way to a server, with web standards alone: for browsers, Deno, and wherever TCP does not get through. */
import type { Dial, Transport } from "./transport.ts";

/** What waits for the network here: a batch of messages, acknowledgements and questions fit many times. */
const MAX_UNSENT_BYTES = 1024 * 1024;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i;

/** @throws Error when `server` cannot be reached, which names it */
export const websocket: Dial = async (server, events, signal) => {
  const { promise, resolve, reject } = Promise.withResolvers<Transport>();
  const url = server.webSocketUrl;
  const socket = open(url);
  socket.binaryType = "arraybuffer";
  let opened = false;
  let ended = false;
  const end = (why: string) => {
    if (ended) return;
    ended = true;
    if (opened) events.closed(why);
    else reject(new Error(`${url}: ${why}`));
  };
  const abandon = () => {
    end("called off");
    socket.close();
  };
  if (signal.aborted) abandon();
  signal.addEventListener("abort", abandon, { once: true });

  socket.onopen = () => {
    opened = true;
    signal.removeEventListener("abort", abandon);
    resolve({
      write(bytes) {
        if (ended) return;
        const unsent = socket.bufferedAmount + bytes.length;
        if (unsent <= MAX_UNSENT_BYTES) return socket.send(bytes as Uint8Array<ArrayBuffer>);
        end(`${unsent} bytes wait for the network, limit ${MAX_UNSENT_BYTES}`);
        socket.close();
      },
      close() {
        ended = true;
        socket.close();
      },
    });
  };
  socket.onmessage = ({ data }) => {
    if (!ended && data instanceof ArrayBuffer) events.data(new Uint8Array(data));
  };
  // What went wrong is kept from scripts: an error is always followed by the close.
  socket.onclose = ({ code, reason }) => end(`the connection closed (${reason || code})`);
  return promise;
};

/**
 * Where a server takes WebSockets, as a client of the route at `routeUrl` reaches it.
 * @param given as the route answered it: a URL, or a path on the route's own host
 */
export function webSocketUrl(given: string, routeUrl: string): string {
  const route = new URL(routeUrl);
  const url = new URL(given, route);
  if (given.startsWith("/")) url.protocol = route.protocol === "https:" ? "wss:" : "ws:";
  // A server that is known by its loopback address is on the machine of the route, whatever that is called from here.
  else if (LOOPBACK.test(url.hostname) && !LOOPBACK.test(route.hostname)) url.hostname = route.hostname;
  return url.href;
}

function open(url: string): WebSocket {
  try {
    return new WebSocket(url);
  } catch (error) {
    const hint = url.startsWith("ws:") ? "; a page from https needs wss, see CIM_WEBSOCKET_URL" : "";
    throw new Error(`${url}: ${(error as Error).message}${hint}`, { cause: error });
  }
}
