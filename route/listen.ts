/** The route's port: the one file of it that knows Bun's HTTP server. */
import type { Config } from "../common/config.ts";
import { HttpDoor } from "../common/http-door.ts";
import { claimPort, openMany, type Port, readCertificate } from "../common/listening.ts";
import type { Logger } from "../common/logger.ts";
import { guardDoor } from "../common/open-files.ts";
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

export interface ListenOptions {
  /** Other processes of ours listen on the port as well (CIM_WORKERS). */
  isClaimed?: boolean;
  log?: Logger;
}

/** @throws ConfigError when the port is taken, the address is not ours, or the certificate cannot be read */
export function listenRoute(
  config: ListenConfig,
  route: Pick<Route, "fetch">,
  { isClaimed = false, log }: ListenOptions = {},
): Listener {
  const options = {
    hostname: config.host,
    tls: readCertificate(config),
    maxRequestBodySize: MAX_BODY_BYTES,
    idleTimeout: IDLE_SECONDS,
    fetch: (request: Request, server: Bun.Server<undefined>) =>
      route.fetch(request, new Client(request, server)),
  };
  const open = (port: number, reusePort: boolean) => Bun.serve({ ...options, port, reusePort });
  const listen = (wanted: Port, isClaimed: boolean) => openMany(wanted, LISTENERS, open, isClaimed);
  const door = new HttpDoor(listen(portOf(config), isClaimed), (port) =>
    listen({ ...portOf(config), port }, true),
  );
  const leave = guardDoor(door, { log });
  const shownHost = config.host === "0.0.0.0" || config.host === "::" ? "127.0.0.1" : config.host;
  return {
    url: `${options.tls ? "https" : "http"}://${shownHost}:${door.port}`,
    async close() {
      leave();
      await door.close(DRAIN_MS);
    },
  };
}

/** Who called. Few calls ask for the address. */
class Client {
  readonly #request: Request;
  readonly #server: Bun.Server<undefined>;

  constructor(request: Request, server: Bun.Server<undefined>) {
    this.#request = request;
    this.#server = server;
  }

  get address(): string | undefined {
    return this.#server.requestIP(this.#request)?.address;
  }
}

/** A port for several workers, on which nobody listened until now. @throws ConfigError as listenRoute */
export function claimRoutePort(config: ListenConfig): number {
  const options = { hostname: config.host, tls: readCertificate(config), fetch: () => new Response() };
  return claimPort(portOf(config), (port) => Bun.serve({ ...options, port }));
}

function portOf({ host, routePort }: ListenConfig): Port {
  return { setting: "CIM_ROUTE_PORT", host, port: routePort };
}
