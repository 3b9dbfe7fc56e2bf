/** Which servers are alive: servers say so through a Registrar, routes read it from a Directory. */

/** One start of one cim-server, and where it is reached. */
export interface ServerInstance {
  host: string;
  /** Where clients connect (TCP). */
  port: number;
  /** Where routes push, and where WebSockets connect. */
  httpPort: number;
  /** Differs each start. A CIM v2 server tells none: one that `isV2` stands for its registration. */
  bootId: string;
  /** Whether its listeners speak TLS. */
  tls: boolean;
  version: string;
  /** Open connections, as of the last renewal. */
  connections: number;
  /** Closed to newcomers: draining, or near a limit. */
  full: boolean;
  /** Where clients reach its WebSocket, a URL or a path on the route's host, if not at `httpPort`. */
  webSocketUrl?: string;
}

const V2_PREFIX = "v2-";

/** @param registration differs whenever the server registers anew, which a CIM v2 server does once in its life */
export function v2BootId(registration: string): string {
  return `${V2_PREFIX}${registration}`;
}

/** Whether this is the boot id of a CIM v2 server, which takes /sendMsg for one user at a time, and nothing else. */
export function isV2(bootId: string): boolean {
  return bootId.startsWith(V2_PREFIX);
}

/** "ip:port:httpPort", the name CIM v2 gives a server in ZooKeeper and Redis. */
export function addressOf(server: Pick<ServerInstance, "host" | "port" | "httpPort">): string {
  return `${server.host}:${server.port}:${server.httpPort}`;
}

/** The server's side. */
export interface Registrar {
  /**
   * Announce `self()` and keep it announced until `leave`, whatever happens to the registry in between; `self` is
   * asked again at every renewal. Resolves when the server was announced for the first time.
   * @param returned called when it is announced again after the registry may have given it up
   */
  announce(self: () => ServerInstance, returned?: () => void): Promise<void>;
  /** What is wrong with the registry, in words; null when nothing is. */
  trouble(): string | null;
  /** Stop being announced, at once. */
  leave(): Promise<void>;
}

/** The route's side: a cache, never a call. */
export interface Directory {
  /** The servers that are alive, as last known, in a stable order. */
  servers(): readonly ServerInstance[];
  /**
   * Whether this start of this server is alive. Right after the directory opened, when servers may not have
   * announced themselves yet, the answer for one it has not heard of is "unknown".
   */
  state(address: string, bootId: string): "alive" | "gone" | "unknown";
  /** Called after each change; answers how to stop that. */
  watch(changed: () => void): () => void;
  /** What is wrong with the registry, in words; null when nothing is. */
  trouble(): string | null;
  close(): Promise<void>;
}
