/** Everything in one process, on the embedded engines; and, in the one binary, each role by its name. */
import type { Config } from "./common/config.ts";
import { type Fetch, Link } from "./common/link.ts";
import { createLogger } from "./common/logger.ts";
import { openDirectory, openRegistrar } from "./common/registry/open.ts";
import { type Running, runRole } from "./common/role.ts";
import { findSecret } from "./common/secret.ts";
import { Tokens } from "./common/token.ts";
import { assets } from "./route/docs-assets.ts";
import { listenRoute } from "./route/listen.ts";
import { routeNotes, routeRole } from "./route/main.ts";
import { passwords } from "./route/passwords-bun.ts";
import { openRoute } from "./route/route.ts";
import { openStore } from "./route/store/open.ts";
import { serverRole } from "./server/main.ts";
import { openServer } from "./server/server.ts";

const cimRole = {
  name: "cim",
  summary: "route and server in one process. Or one role: cim route, cim server, cim client.",
  start: startAll,
};

async function startAll(config: Config): Promise<Running> {
  const log = createLogger(config.log, "cim");
  const tokens = new Tokens(findSecret(config.secret, config.data, true));
  const store = await openStore(config, log);
  const registry = await openDirectory(config, log);

  // Server and route reach one another without a socket, other servers over the network.
  const peers: { route?: Fetch; server?: Fetch; serverOrigin?: string } = {};
  const toRoute = new Link("server", tokens, (request) => peers.route!(request));
  const toServers = new Link("route", tokens, (request) =>
    new URL(request.url).origin === peers.serverOrigin ? peers.server!(request) : fetch(request),
  );

  const route = openRoute({ config, store, ...registry, tokens, link: toServers, passwords, assets, log });
  peers.route = (request) => route.fetch(request);
  const listener = listenRoute(config, route);
  const registrar = await openRegistrar({ ...config, routeUrl: listener.url }, toRoute, log);
  const server = await openServer({ config, tokens, link: toRoute, registrar, log });
  const { host, port, httpPort, tls } = server.instance();
  peers.server = (request) => server.fetch(request);
  peers.serverOrigin = `${tls ? "https" : "http"}://${host}:${httpPort}`;

  const banner = [
    `CIM is ready at ${listener.url}`,
    `  API       ${listener.url}/docs`,
    `  clients   ${host}:${port} (TCP)`,
    `  data      ${config.store || config.data}`,
    ...routeNotes(config),
    `  chat      cim-client --route ${listener.url} --user <name>   (or: bun run client …)`,
  ];
  const stop = async () => {
    await server.close();
    await listener.close();
    await route.close();
    await registry.directory.close();
    await store.close();
  };
  return { banner, stop };
}

const [role, ...rest] = process.argv.slice(2);
if (import.meta.main) {
  if (role === "client") await import("./client/main.ts").then(({ runClient }) => runClient(rest));
  else if (role === "route") process.exit(await runRole(routeRole, rest, process.env));
  else if (role === "server") process.exit(await runRole(serverRole, rest, process.env));
  else process.exit(await runRole(cimRole, process.argv.slice(2), process.env));
}
