/** Everything in one process, on the embedded engines; and, in the one binary, each role by its name. */
import { openCim } from "./cim.ts";
import type { Config } from "./common/config.ts";
import { type Role, type Running, runRole } from "./common/role.ts";
import { isLoopback } from "./route/address.ts";
import { routeNotes, routeRole } from "./route/main.ts";
import { shownStore } from "./route/store/open.ts";
import { serverRole } from "./server/main.ts";

const cimRole: Role = {
  name: "cim",
  summary: "route and server in one process. Or one role: cim route, cim server, cim client.",
  start: startAll,
};

async function startAll(config: Config): Promise<Running> {
  const cim = await openCim(config);
  const { host, port } = cim.server;
  const banner = [
    `CIM is ready at ${cim.routeUrl}`,
    `  page      ${cim.routeUrl}/`,
    `  API       ${cim.routeUrl}/docs`,
    `  clients   ${host}:${port} (TCP)`,
    `  store     ${shownStore(config)}`,
    ...routeNotes(config),
    ...reachNotes(config, host),
    `  chat      cim-client --route ${cim.routeUrl} --user <name>   (or: bun run client …)`,
  ];
  return { banner, stop: cim.close };
}

/** Others reach the route, which then sends them to the server's address. */
function reachNotes({ host, websocketUrl }: Config, advertised: string): string[] {
  if (host === "localhost" || isLoopback(host) || !isLoopback(advertised) || websocketUrl) return [];
  return [
    `  NOTE      clients on other machines are sent to ${advertised}: CIM_ADVERTISE wants this one's address`,
  ];
}

const [role, ...rest] = process.argv.slice(2);
if (import.meta.main) {
  if (role === "client") await import("./client/main.ts").then(({ runClient }) => runClient(rest));
  else if (role === "route") process.exit(await runRole(routeRole, rest, process.env, ["route"]));
  else if (role === "server") process.exit(await runRole(serverRole, rest, process.env, ["server"]));
  else process.exit(await runRole(cimRole, process.argv.slice(2), process.env));
}
