/** Which ports the workers of a server take (CIM_WORKERS), and that no two of them are the same. */
import { type Config, ConfigError } from "../common/config.ts";
import type { Overrides } from "../common/role.ts";

type Settings = Pick<
  Config,
  "workers" | "host" | "advertise" | "serverPort" | "serverHttpPort" | "routeUrl" | "websocketUrl"
>;

const HIGHEST_PORT = 65535;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i;

/**
 * Worker 1 takes the ports that are set, worker 2 the next ones, and so on; where 0 is set each takes a free one.
 * @throws ConfigError for ports that collide, or that there are not
 */
export function portsOfWorkers(config: Settings): (worker: number) => Overrides {
  const { workers, serverPort, serverHttpPort, websocketUrl } = config;
  if (websocketUrl !== "" && !websocketUrl.includes("{port}")) {
    throw new ConfigError(
      `CIM_WEBSOCKET_URL=${websocketUrl} with CIM_WORKERS=${workers}: want {port} in it, which tells the workers apart`,
    );
  }
  const taken = new Map<number, string>();
  const route = localRoutePort(config);
  if (route !== null) taken.set(route, `the route's (CIM_ROUTE_URL=${config.routeUrl})`);
  for (const [setting, first] of [
    ["CIM_SERVER_PORT", serverPort],
    ["CIM_SERVER_HTTP_PORT", serverHttpPort],
  ] as const) {
    for (let worker = 1; worker <= workers && first > 0; worker++) {
      const port = first + worker - 1;
      const refused = `${setting}=${first} with CIM_WORKERS=${workers}: worker ${worker} would take port ${port}`;
      if (port > HIGHEST_PORT) throw new ConfigError(`${refused}: the highest is ${HIGHEST_PORT}`);
      const by = taken.get(port);
      if (by !== undefined) throw new ConfigError(`${refused}, which is ${by}`);
      taken.set(port, `worker ${worker}'s ${setting}`);
    }
  }
  const nth = (first: number, worker: number) => String(first === 0 ? 0 : first + worker - 1);
  return (worker) => ({
    CIM_SERVER_PORT: nth(serverPort, worker),
    CIM_SERVER_HTTP_PORT: nth(serverHttpPort, worker),
  });
}

/** The route's port, if it is on this machine. */
function localRoutePort({ routeUrl, host, advertise }: Settings): number | null {
  const { hostname, port, protocol } = new URL(routeUrl);
  if (!LOOPBACK.test(hostname) && hostname !== host && hostname !== advertise) return null;
  if (port !== "") return Number(port);
  return protocol === "https:" ? 443 : 80;
}
