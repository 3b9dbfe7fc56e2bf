/** The whole system inside a program or a test: route and server on the embedded engines, in this process. */
import { type Config, ConfigError, readConfig, type VariableName } from "./common/config.ts";
import { type Fetch, Link } from "./common/link.ts";
import { createLogger } from "./common/logger.ts";
import { bunMac } from "./common/mac-bun.ts";
import { openDirectory, openRegistrar } from "./common/registry/open.ts";
import type { ServerInstance } from "./common/registry/registry.ts";
import { findSecret } from "./common/secret.ts";
import { Tokens } from "./common/token.ts";
import { assets } from "./route/docs-assets.ts";
import { openDownloads } from "./route/downloads-files.ts";
import { listenRoute } from "./route/listen.ts";
import { page } from "./route/page-assets.ts";
import { passwords } from "./route/passwords-bun.ts";
import { openRoute } from "./route/route.ts";
import { isShared, openStore } from "./route/store/open.ts";
import { openServer } from "./server/server.ts";

/** docs/configuration.md, by the names there: CIM_LOGIN_POLICY. */
export type Settings = { [N in VariableName]?: string | number };

export interface Cim {
  /** Where clients, the page and backends find it. */
  routeUrl: string;
  /** Where connections are held. */
  server: ServerInstance;
  /** Answers a request to the route, without a socket. */
  fetch: Fetch;
  /** Drains and ends everything. Called again, it waits for the same end. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** As one wants it inside a program: nothing written, nothing taken, and silent but for what goes wrong. */
const EMBEDDED: Settings = {
  CIM_STORE: "memory:",
  CIM_ROUTE_PORT: 0,
  CIM_SERVER_PORT: 0,
  CIM_SERVER_HTTP_PORT: 0,
  CIM_LOG: "warn",
};

/**
 * Starts everything, on free ports and in memory unless `settings` say otherwise. Any number may run in one process.
 * @throws ConfigError for a setting that cannot be used, such as a port that is taken; nothing is left running then
 */
export async function createCim(settings: Settings = {}): Promise<Cim> {
  const secret = crypto.getRandomValues(new Uint8Array(32)).toHex();
  const given = Object.entries({ ...EMBEDDED, CIM_SECRET: secret, ...settings });
  return openCim(readConfig(Object.fromEntries(given.map(([name, value]) => [name, String(value)]))));
}

/** The same, on settings that were read already. */
export async function openCim(config: Config): Promise<Cim> {
  if (config.workers > 1) {
    throw new ConfigError(
      `CIM_WORKERS=${config.workers}: everything in one process is one worker: run the route and the servers by themselves (cim route, and CIM_WORKERS=${config.workers} cim server)`,
    );
  }
  const files = { assets, page, downloads: openDownloads(config.downloads) };
  await using opening = new AsyncDisposableStack();
  const log = createLogger(config.log, "cim");
  const secret = findSecret(config.secret, config.data, isShared(config) ? "given" : "made");
  const tokens = new Tokens(secret, bunMac);
  const store = await openStore(config, log);
  opening.defer(() => store.close());
  const registry = await openDirectory(config, log);
  opening.defer(() => registry.directory.close());

  // Server and route reach one another without a socket, other servers over the network.
  const peers: { route?: Fetch; server?: Fetch; serverOrigin?: string } = {};
  const toRoute = new Link("server", tokens, (request) => peers.route!(request));
  const toServers = new Link("route", tokens, (request) =>
    new URL(request.url).origin === peers.serverOrigin ? peers.server!(request) : fetch(request),
  );

  const link = toServers;
  const route = openRoute({ config, store, ...registry, tokens, link, passwords, ...files, log });
  opening.defer(() => route.close());
  peers.route = (request) => route.fetch(request);
  const listener = listenRoute(config, route, { log });
  opening.defer(() => listener.close());
  const registrar = await openRegistrar({ ...config, routeUrl: listener.url }, toRoute, log);
  const server = await openServer({ config, tokens, link: toRoute, registrar, log });
  opening.defer(() => server.close());
  const { host, httpPort, tls } = server.instance();
  peers.server = (request) => server.fetch(request);
  peers.serverOrigin = `${tls ? "https" : "http"}://${host}:${httpPort}`;

  const opened = opening.move();
  let closing: Promise<void> | null = null;
  const close = () => {
    closing ??= opened.disposeAsync();
    return closing;
  };
  return {
    routeUrl: listener.url,
    server: server.instance(),
    fetch: peers.route,
    close,
    [Symbol.asyncDispose]: close,
  };
}
