/** The route as a process of its own. */
import { type Config, ConfigError } from "../common/config.ts";
import { Link } from "../common/link.ts";
import { createLogger } from "../common/logger.ts";
import { bunMac } from "../common/mac-bun.ts";
import { openDirectory } from "../common/registry/open.ts";
import { type Overrides, type Role, type Running, runRole } from "../common/role.ts";
import { findSecret } from "../common/secret.ts";
import { Tokens } from "../common/token.ts";
import { assets } from "./docs-assets.ts";
import { openDownloads } from "./downloads-files.ts";
import { claimRoutePort, listenRoute } from "./listen.ts";
import { page } from "./page-assets.ts";
import { passwords } from "./passwords-bun.ts";
import { openRoute } from "./route.ts";
import { isShared, openStore, shownStore } from "./store/open.ts";

export const routeRole: Role = {
  name: "cim-route",
  summary: "the HTTP API: accounts, logins, and every message on its way.",
  start: startRoute,
  share: shareRoute,
};

async function startRoute(config: Config, worker: number | null): Promise<Running> {
  const downloads = openDownloads(config.downloads);
  const log = createLogger(config.log, "route", worker);
  const secret = findSecret(config.secret, config.data, isShared(config) ? "given" : "made");
  const tokens = new Tokens(secret, bunMac);
  const store = await openStore(config, log);
  const registry = await openDirectory(config, log);
  const link = new Link("route", tokens);
  const files = { assets, page, downloads };
  const route = openRoute({ config, store, ...registry, tokens, link, passwords, ...files, log });
  const listener = listenRoute(config, route, { isClaimed: worker !== null, log });
  const banner = [
    `cim-route   ${listener.url}`,
    `  API       ${listener.url}/docs`,
    `  page      ${listener.url}/`,
    `  store     ${shownStore(config)}`,
    ...routeNotes(config),
  ];
  const stop = async () => {
    await listener.close();
    await route.close();
    await registry.directory.close();
    await store.close();
  };
  return { banner, stop };
}

/** All on one port: the kernel spreads what comes. */
function shareRoute(config: Config): () => Overrides {
  if (!isShared(config) || config.registry === "route") {
    throw new ConfigError(
      `CIM_WORKERS=${config.workers}: a route with several workers needs a store and a registry that they share: set CIM_STORE=redis://… and CIM_REGISTRY=zookeeper://…`,
    );
  }
  const port = String(claimRoutePort(config));
  return () => ({ CIM_ROUTE_PORT: port });
}

/** What an operator should know of these settings. */
export function routeNotes(config: Config): string[] {
  if (config.auth !== "open") return [];
  return ["  WARNING   CIM_AUTH=open: CIM v2 peers are believed without credentials"];
}

if (import.meta.main) process.exit(await runRole(routeRole, process.argv.slice(2), process.env));
