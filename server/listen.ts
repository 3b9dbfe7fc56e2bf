/** The sockets of a server, and the only file that knows Bun's: TCP and WebSockets for clients, HTTP for routes. */
import { readFileSync } from "node:fs";
import type { ServerWebSocket, TCPSocketListener } from "bun";
import { type Config, ConfigError } from "../common/config.ts";
import { MAX_FRAME_BYTES, WEBSOCKET_PATH } from "../proto/frame.ts";
import type { Socket } from "./party.ts";

/** What is behind a socket. */
export interface Peer {
  /** A view, valid only during the call. */
  data(bytes: Uint8Array): void;
  /** The socket takes bytes again. */
  drained(): void;
  closed(): void;
}

export interface Handlers {
  /** Null: there is no room, and the socket is closed at once. */
  connect: (socket: Socket, address: string) => Peer | null;
  fetch: (request: Request) => Promise<Response>;
}

export interface Listening {
  port: number;
  httpPort: number;
  /** Takes no new connections; HTTP goes on. */
  stopAccepting(): void;
  /** Ends everything that is left. */
  close(): Promise<void>;
}

type Settings = Pick<Config, "host" | "serverPort" | "serverHttpPort" | "tlsCert" | "tlsKey">;
type Tls = { cert: string; key: string } | undefined;

/** Bun's backlog is 512 whatever is asked for: a crowd that comes at once needs several queues to stand in. */
const LISTENERS = 32;
const HTTP_LISTENERS = 8;
/** A push to everyone may carry many messages. */
const MAX_INTERNAL_BODY_BYTES = 64 * 1024 * 1024;
const HTTP_IDLE_SECONDS = 30;
/** A length prefix of five bytes before the largest frame. A WebSocket's messages are cut anywhere, as a stream is. */
const MAX_WEBSOCKET_MESSAGE_BYTES = MAX_FRAME_BYTES + 5;
/** Never reached: nothing is given to a WebSocket that still has something to send. */
const WEBSOCKET_BUFFER_BYTES = 64 * 1024 * 1024;
const UNSUPPORTED_DATA = 1003;
const CLOSE_MS = 1000;

/** @throws ConfigError for a port that is taken, an address that is not ours, or a certificate that cannot be read */
export function listen(config: Settings, handlers: Handlers): Listening {
  const { host, serverPort, serverHttpPort } = config;
  const tls = readTls(config);
  const sockets = openTcp(host, serverPort, tls, handlers);
  let accepting = true;
  try {
    const connect: Handlers["connect"] = (...peer) => (accepting ? handlers.connect(...peer) : null);
    const servers = openHttp(host, serverHttpPort, tls, { ...handlers, connect });
    return {
      port: sockets[0]!.port,
      httpPort: servers[0]!.port!,
      stopAccepting() {
        accepting = false;
        for (const socket of sockets) socket.stop();
      },
      async close() {
        for (const socket of sockets) socket.stop(true);
        // What is under way may end; connections that are only kept alive would not.
        await Promise.race([Promise.all(servers.map((server) => server.stop())), Bun.sleep(CLOSE_MS)]);
        await Promise.all(servers.map((server) => server.stop(true)));
      },
    };
  } catch (error) {
    for (const socket of sockets) socket.stop(true);
    throw error;
  }
}

/** The types do not know `reusePort`, which Bun.listen takes as Bun.serve does. */
type Shared = Bun.TCPSocketListenOptions<Peer | null> & { reusePort: boolean };

function openTcp(
  hostname: string,
  wanted: number,
  tls: Tls,
  { connect }: Handlers,
): TCPSocketListener<Peer | null>[] {
  // One set of functions for all sockets: a connection costs no closures.
  const socket: Bun.SocketHandler<Peer | null> = {
    open(socket) {
      const peer = connect(socket, socket.remoteAddress);
      socket.data = peer;
      if (!peer) socket.terminate();
    },
    data: (socket, bytes) => socket.data?.data(bytes),
    drain: (socket) => socket.data?.drained(),
    close: (socket) => socket.data?.closed(),
    error: (socket) => socket.terminate(),
    // With it, `open` is called before the handshake: one that never comes runs into the deadline for the login.
    handshake() {},
  };
  return openMany("CIM_SERVER_PORT", hostname, wanted, LISTENERS, (port, reusePort) => {
    const options: Shared = { hostname, port, reusePort, tls, socket, data: null };
    return Bun.listen<Peer | null>(options);
  });
}

type WebSocketData = { peer: Peer | null };

function openHttp(
  hostname: string,
  wanted: number,
  tls: Tls,
  { connect, fetch }: Handlers,
): Bun.Server<WebSocketData>[] {
  const websocket: Bun.WebSocketHandler<WebSocketData> = {
    maxPayloadLength: MAX_WEBSOCKET_MESSAGE_BYTES,
    backpressureLimit: WEBSOCKET_BUFFER_BYTES,
    // Heartbeats are ours, and the same for all.
    idleTimeout: 0,
    sendPings: false,
    perMessageDeflate: false,
    open(ws) {
      ws.data.peer = connect(asSocket(ws), ws.remoteAddress);
      if (!ws.data.peer) ws.terminate();
    },
    message(ws, message) {
      if (typeof message === "string") ws.close(UNSUPPORTED_DATA, "want binary messages");
      else ws.data.peer?.data(message);
    },
    drain: (ws) => ws.data.peer?.drained(),
    close: (ws) => ws.data.peer?.closed(),
  };
  return openMany("CIM_SERVER_HTTP_PORT", hostname, wanted, HTTP_LISTENERS, (port, reusePort) =>
    Bun.serve<WebSocketData>({
      hostname,
      port,
      reusePort,
      tls,
      websocket,
      development: false,
      idleTimeout: HTTP_IDLE_SECONDS,
      maxRequestBodySize: MAX_INTERNAL_BODY_BYTES,
      fetch(request, server) {
        const isUpgrade = request.headers.get("upgrade")?.toLowerCase() === "websocket";
        if (!isUpgrade || new URL(request.url).pathname !== WEBSOCKET_PATH) return fetch(request);
        return server.upgrade(request, { data: { peer: null } })
          ? undefined
          : new Response(null, { status: 400 });
      },
    }),
  );
}

/** Opens a port several times; first once alone, so that sharing it with another process is an error. */
function openMany<T extends { port?: number; stop(force: boolean): unknown }>(
  setting: string,
  host: string,
  wanted: number,
  count: number,
  open: (port: number, reusePort: boolean) => T,
): T[] {
  const opened: T[] = [];
  try {
    const alone = open(wanted, false);
    const port = alone.port!;
    alone.stop(true);
    for (let i = 0; i < count; i++) opened.push(open(port, true));
    return opened;
  } catch (error) {
    for (const one of opened) one.stop(true);
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "EADDRINUSE" ? "the port is taken" : `cannot listen on CIM_HOST=${host}: ${message}`;
    throw new ConfigError(`${setting}=${wanted}: ${why}`, { cause: error });
  }
}

/** A WebSocket as the stream of bytes that it carries. */
function asSocket(ws: ServerWebSocket<WebSocketData>): Socket {
  return {
    write(bytes) {
      if (ws.readyState !== WebSocket.OPEN) return -1;
      // It takes whole messages and keeps what the kernel does not: the next is given when that has left.
      if (ws.getBufferedAmount() > 0) return 0;
      return ws.send(bytes) === 0 ? -1 : bytes.length;
    },
    shutdown: () => ws.close(),
    end: () => ws.close(),
    terminate: () => ws.terminate(),
  };
}

function readTls({ tlsCert, tlsKey }: Settings): Tls {
  if (!tlsCert) return undefined;
  return { cert: readPem("CIM_TLS_CERT", tlsCert), key: readPem("CIM_TLS_KEY", tlsKey) };
}

function readPem(setting: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError(`${setting}=${file}: ${(error as Error).message}`, { cause: error });
  }
}
