/** A process that does nothing but be registered: `bun registered.ts <zookeeper URL> <session ms> <bootId>`. */

import { parseZooKeeperAddress } from "../../common/registry/zookeeper-address.ts";
import { openZooKeeperRegistrar } from "../../common/registry/zookeeper-registrar.ts";

const [url, sessionMs, bootId] = process.argv.slice(2);
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const registrar = openZooKeeperRegistrar(
  { ...parseZooKeeperAddress(url!)!, sessionMs: Number(sessionMs) },
  silent,
);
await registrar.announce(() => ({
  host: "10.0.0.1",
  port: 11211,
  httpPort: 8081,
  bootId: bootId!,
  tls: false,
  version: "0.1.0",
  connections: 0,
  full: false,
}));
console.log("registered");
