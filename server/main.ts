/** cim-server as a process of its own. */
import type { Config } from "../common/config.ts";
import { Link } from "../common/link.ts";
import { createLogger } from "../common/logger.ts";
import { bunMac } from "../common/mac-bun.ts";
import { openRegistrar } from "../common/registry/open.ts";
import { addressOf } from "../common/registry/registry.ts";
import { type Role, type Running, runRole } from "../common/role.ts";
import { findSecret } from "../common/secret.ts";
import { Tokens } from "../common/token.ts";
import { openServer } from "./server.ts";
import { portsOfWorkers } from "./workers.ts";

export const serverRole: Role = {
  name: "cim-server",
  summary: "holds the connections of clients (TCP) and writes what routes push to them.",
  start: startServer,
  share: portsOfWorkers,
};

async function startServer(config: Config, worker: number | null): Promise<Running> {
  const log = createLogger(config.log, "server", worker);
  const tokens = new Tokens(findSecret(config.secret, config.data, "found"), bunMac);
  const link = new Link("server", tokens);
  const registrar = await openRegistrar(config, link, log);
  const server = await openServer({ config, tokens, link, registrar, log, sleep: Bun.sleepSync });
  const { host, port, httpPort } = server.instance();
  const banner = [
    `cim-server  ${addressOf(server.instance())}`,
    `  clients   ${host}:${port} (TCP)`,
    `  routes    ${host}:${httpPort} (HTTP)`,
    `  registry  ${config.registry === "route" ? config.routeUrl : config.registry}`,
  ];
  if (server.believes()) {
    banner.push("  WARNING   the route is one of CIM v2: whoever logs in is believed, without asking anyone");
  }
  return { banner, stop: () => server.close() };
}

if (import.meta.main) process.exit(await runRole(serverRole, process.argv.slice(2), process.env));
