import { expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { ConfigError } from "../../common/config.ts";
import { findAdvertised } from "../../server/advertise.ts";

const local = { advertise: "", host: "127.0.0.1", registry: "route", routeUrl: "http://127.0.0.1:8083" };
const outward = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find((address) => address.family === "IPv4" && !address.internal)?.address;

async function answer(changes: Partial<typeof local>): Promise<string> {
  return findAdvertised({ ...local, ...changes }).catch((error) => {
    if (error instanceof ConfigError) return error.message;
    throw error;
  });
}

test("what is set to be advertised is, and else the address listened on", async () => {
  const answers = [
    {},
    { advertise: "im.example.com" },
    { host: "10.0.0.1" },
    { host: "0.0.0.0" },
    { host: "0.0.0.0", registry: "zookeeper://localhost:2181,127.0.0.1:2182" },
    { host: "0.0.0.0", advertise: "203.0.113.7", registry: "zookeeper://zk-1:2181" },
  ].map(answer);
  expect(await Promise.all(answers)).toEqual([
    "127.0.0.1",
    "im.example.com",
    "10.0.0.1",
    "127.0.0.1",
    "127.0.0.1",
    "203.0.113.7",
  ]);
});

// Once: the first address the host name resolved to was registered, and behind NAT or in a container nobody reached it.
test.skipIf(!outward)(
  "listening on all, it is the address of the interface that leads to the registry",
  async () => {
    const answers = [
      { host: "0.0.0.0", routeUrl: `https://${outward}:8083` },
      { host: "::", registry: `zookeeper://${outward}:2181/im` },
      { host: "0.0.0.0", registry: `zookeeper://no-such-host.invalid:2181,${outward}:2182` },
    ].map(answer);
    expect(await Promise.all(answers)).toEqual([outward!, outward!, outward!]);
  },
);

test("an address that nobody elsewhere reaches stops the start with one line", async () => {
  const answers = [
    { routeUrl: "http://route.example:8083" },
    { registry: "zookeeper://127.0.0.1:2181,zk-2:2181" },
    { advertise: "localhost", registry: "zookeeper://zk-1:2181" },
    { advertise: "fd00::2" },
    { host: "0.0.0.0", registry: "zookeeper://no-such-host.invalid:2181" },
  ].map(answer);
  const set = "set CIM_ADVERTISE to the address others reach this server by";
  expect(await Promise.all(answers)).toEqual([
    `CIM_HOST=127.0.0.1: a loopback address, and the registry is elsewhere (route.example); listen on CIM_HOST=0.0.0.0, or ${set}`,
    `CIM_HOST=127.0.0.1: a loopback address, and the registry is elsewhere (zk-2); listen on CIM_HOST=0.0.0.0, or ${set}`,
    `CIM_ADVERTISE=localhost: a loopback address, and the registry is elsewhere (zk-1); ${set}`,
    `CIM_ADVERTISE=fd00::2: want a host name or IPv4 address to register, as CIM v2 splits at the colons; ${set}`,
    `no IPv4 interface leads to no-such-host.invalid: ${set}`,
  ]);
});
