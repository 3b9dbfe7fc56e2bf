/** The sockets of a server, and the only file that knows Bun's: TCP and WebSockets for clients, HTTP for routes. */
import type { ServerWebSocket, TCPSocketListener } from "bun";
import type { Config } from "../common/config.ts";
import { HttpDoor } from "../common/http-door.ts";
import { type Certificate, openMany, readCertificate } from "../common/listening.ts";
import type { Logger } from "../common/logger.ts";
import { type Every, guardDoor } from "../common/open-files.ts";
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
  log?: Logger;
  /** Whose beat is to be used for what has to be looked at now and then. */
  every?: Every;
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
type Tls = Certificate | undefined;

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
  const tls = readCertificate(config);
  let accepting = true;
  const connect: Handlers["connect"] = (...peer) => (accepting ? handlers.connect(...peer) : null);
  const tcp = (port: number, isClaimed = false) => openTcp(host, port, tls, handlers, isClaimed);
  const http = (port: number, isClaimed = false) =>
    openHttp(host, port, tls, { ...handlers, connect }, isClaimed);
  let sockets = tcp(serverPort);
  try {
    const { port } = sockets[0]!;
    const web = new HttpDoor(http(serverHttpPort), (claimed) => http(claimed, true));
    const leave = guardDoor(
      {
        shut() {
          for (const socket of sockets.splice(0)) socket.stop();
          web.shut();
        },
        open() {
          if (accepting && sockets.length === 0) sockets = tcp(port, true);
          web.open();
        },
      },
      { log: handlers.log, every: handlers.every },
    );
    return {
      port,
      httpPort: web.port,
      stopAccepting() {
        accepting = false;
        for (const socket of sockets) socket.stop();
      },
      async close() {
        leave();
        for (const socket of sockets) socket.stop(true);
        await web.close(CLOSE_MS);
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
  isClaimed: boolean,
): TCPSocketListener<Peer | null>[] {
  // One set of functions for all sockets: a connection costs no closures.
  const socket: Bun.SocketHandler<Peer | null> = {
    binaryType: "uint8array",
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
  return openMany(
    { setting: "CIM_SERVER_PORT", host: hostname, port: wanted },
    LISTENERS,
    (port, reusePort) => {
      const options: Shared = { hostname, port, reusePort, tls, socket, data: null };
      return Bun.listen<Peer | null>(options);
    },
    isClaimed,
  );
}

type WebSocketData = { peer: Peer | null };

function openHttp(
  hostname: string,
  wanted: number,
  tls: Tls,
  { connect, fetch }: Handlers,
  isClaimed: boolean,
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
  return openMany(
    { setting: "CIM_SERVER_HTTP_PORT", host: hostname, port: wanted },
    HTTP_LISTENERS,
    (port, reusePort) =>
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
    isClaimed,
  );
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
