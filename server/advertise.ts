/** Under which address a server registers: one that clients and routes elsewhere can reach. */
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { type Config, ConfigError } from "../common/config.ts";
import { parseZooKeeperAddress } from "../common/registry/zookeeper-address.ts";

type Settings = Pick<Config, "advertise" | "host" | "registry" | "routeUrl">;

const REACHABLE = /^[a-zA-Z0-9_.-]{1,253}$/;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i;
const EVERYWHERE = /^(0\.0\.0\.0|::)$/;
const DISCARD_PORT = 9;
const SAY_WHICH = "set CIM_ADVERTISE to the address others reach this server by";

/**
 * CIM_ADVERTISE; else the address listened on; else, listening on all, that of the interface that leads to the
 * registry.
 * @throws ConfigError for an address that others cannot reach, or that no server can register
 */
export async function findAdvertised(config: Settings): Promise<string> {
  const registries = registryHosts(config);
  if (config.advertise) return checked("CIM_ADVERTISE", config.advertise, registries);
  if (!EVERYWHERE.test(config.host)) return checked("CIM_HOST", config.host, registries);
  let cause: unknown;
  for (const host of registries) {
    try {
      return checked("CIM_HOST", await addressTowards(host), registries);
    } catch (error) {
      cause = error;
    }
  }
  throw new ConfigError(`no IPv4 interface leads to ${registries.join(", ")}: ${SAY_WHICH}`, { cause });
}

function checked(setting: string, host: string, registries: readonly string[]): string {
  if (!REACHABLE.test(host)) {
    throw new ConfigError(
      `${setting}=${host}: want a host name or IPv4 address to register, as CIM v2 splits at the colons; ${SAY_WHICH}`,
    );
  }
  const remote = registries.find((registry) => !LOOPBACK.test(registry));
  if (remote !== undefined && LOOPBACK.test(host)) {
    const hint = setting === "CIM_HOST" ? `listen on CIM_HOST=0.0.0.0, or ${SAY_WHICH}` : SAY_WHICH;
    throw new ConfigError(
      `${setting}=${host}: a loopback address, and the registry is elsewhere (${remote}); ${hint}`,
    );
  }
  return host;
}

function registryHosts(config: Settings): string[] {
  const zookeeper = parseZooKeeperAddress(config.registry);
  if (zookeeper) return zookeeper.hosts.split(",").map((member) => member.replace(/:\d+$/, ""));
  return [new URL(config.routeUrl).hostname.replace(/^\[|\]$/g, "")];
}

/** The address packets to `host` would come from. Nothing is sent: connecting a datagram socket only picks the route. */
async function addressTowards(host: string): Promise<string> {
  const { address } = await lookup(host, { family: 4 });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = createSocket("udp4");
  socket.on("error", reject);
  socket.connect(DISCARD_PORT, address, () => resolve(socket.address().address));
  const towards = await promise.finally(() => socket.close());
  if (EVERYWHERE.test(towards)) throw new Error(`no route to ${host}`);
  return towards;
}
