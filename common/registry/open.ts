/** The registry that CIM_REGISTRY names. ZooKeeper's part is loaded only where it is used. */
import type { Config } from "../config.ts";
import type { Link } from "../link.ts";
import type { Logger } from "../logger.ts";
import type { Directory, Registrar } from "./registry.ts";
import { Leases, leaseRegistrar } from "./route.ts";
import { parseZooKeeperAddress } from "./zookeeper-address.ts";

type Settings = Pick<Config, "registry" | "leaseMs" | "routeUrl">;

/** The server's side. */
export async function openRegistrar(config: Settings, link: Link, log: Logger): Promise<Registrar> {
  const address = parseZooKeeperAddress(config.registry);
  if (address === null) return leaseRegistrar(link, config.routeUrl, log);
  const { openZooKeeperRegistrar } = await import("./zookeeper-registrar.ts");
  return openZooKeeperRegistrar({ ...address, sessionMs: config.leaseMs }, log);
}

/** The route's side; `leases` is null where the route does not keep them. */
export async function openDirectory(
  config: Settings,
  log: Logger,
): Promise<{ directory: Directory; leases: Leases | null }> {
  const address = parseZooKeeperAddress(config.registry);
  if (address === null) {
    const leases = new Leases(config.leaseMs);
    return { directory: leases, leases };
  }
  const { openZooKeeperDirectory } = await import("./zookeeper-directory.ts");
  const directory = await openZooKeeperDirectory({ ...address, sessionMs: config.leaseMs }, log);
  return { directory, leases: null };
}
