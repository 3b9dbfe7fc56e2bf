/** The route's port: the one file of it that knows Bun's HTTP server. */
import { readFileSync } from "node:fs";
import { type Config, ConfigError } from "../common/config.ts";
import type { Route } from "./route.ts";

export interface Listener {
  /** Where the route is reached from this machine. */
  url: string;
  /** Answers what is under way, for a few seconds at most, and stops listening. */
  close(): Promise<void>;
}

/** The kernel keeps 512 connects for a listener that is busy; together these take a storm of them. */
const LISTENERS = 32;
// The app answers a body over its limit itself, and reads no more of it; here is only what is absurd.
const MAX_BODY_BYTES = 1024 ** 3;
const IDLE_SECONDS = 60;
const DRAIN_MS = 5 * 1000;

type ListenConfig = Pick<Config, "host" | "routePort" | "tlsCert" | "tlsKey">;

/** @throws ConfigError when the port is taken, the address is not ours, or the certificate cannot be read */
export function listenRoute(config: ListenConfig, route: Pick<Route, "fetch">): Listener {
  const options = {
    hostname: config.host,
    tls: readTls(config),
    maxRequestBodySize: MAX_BODY_BYTES,
    idleTimeout: IDLE_SECONDS,
    fetch: (request: Request, server: Bun.Server<undefined>) =>
      route.fetch(request, server.requestIP(request) ?? undefined),
  };
  const port = findPort(config, options.tls);
  const servers = Array.from({ length: LISTENERS }, () =>
    attempt(config, () => Bun.serve({ ...options, port, reusePort: true })),
  );
  const shownHost = config.host === "0.0.0.0" || config.host === "::" ? "127.0.0.1" : config.host;
  return {
    url: `${options.tls ? "https" : "http"}://${shownHost}:${port}`,
    async close() {
      const drained = Promise.all(servers.map((server) => server.stop()));
      await Promise.race([drained, Bun.sleep(DRAIN_MS)]);
      await Promise.all(servers.map((server) => server.stop(true)));
    },
  };
}

/** Sharing a port hides that another process has it: the first bind, which shares nothing, finds out. */
function findPort(config: ListenConfig, tls: Bun.TLSOptions | undefined): number {
  const probe = attempt(config, () =>
    Bun.serve({
      hostname: config.host,
      port: config.routePort,
      tls,
      fetch: () => new Response(null, { status: 503 }),
    }),
  );
  const port = probe.port!;
  void probe.stop(true);
  return port;
}

function readTls({ tlsCert, tlsKey }: ListenConfig): { cert: string; key: string } | undefined {
  if (!tlsCert) return undefined;
  return { cert: read("CIM_TLS_CERT", tlsCert), key: read("CIM_TLS_KEY", tlsKey) };
}

function read(name: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError(`${name}=${file}: cannot read it: ${(error as Error).message}`, { cause: error });
  }
}

function attempt<T>(config: ListenConfig, listen: () => T): T {
  try {
    return listen();
  } catch (error) {
    throw new ConfigError(explain(config, error as NodeJS.ErrnoException), { cause: error });
  }
}

function explain({ host, routePort, tlsCert, tlsKey }: ListenConfig, error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE") return `CIM_ROUTE_PORT=${routePort}: the port is taken`;
  if (error.code === "EACCES") return `CIM_ROUTE_PORT=${routePort}: this user may not listen there`;
  if (error.code === "EADDRNOTAVAIL") return `CIM_HOST=${host}: not an address of this machine`;
  if (error.code?.startsWith("ERR_OSSL") || tlsCert)
    return `CIM_TLS_CERT=${tlsCert}, CIM_TLS_KEY=${tlsKey}: no certificate and key in PEM: ${error.message}`;
  return `CIM_HOST=${host} CIM_ROUTE_PORT=${routePort}: ${error.message}`;
}
