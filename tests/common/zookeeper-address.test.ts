import { expect, test } from "bun:test";
import { parseZooKeeperAddress } from "../../common/registry/zookeeper-address.ts";

test("an address names the members of an ensemble and the node to live under", () => {
  const urls = [
    "zookeeper://127.0.0.1:2181",
    "zookeeper://zk-1.example,zk_2:2182,10.0.0.3:2183/",
    "zookeeper://zk-1:2181/im/prod-1",
  ];
  expect(urls.map(parseZooKeeperAddress)).toEqual([
    { hosts: "127.0.0.1:2181", chroot: "" },
    { hosts: "zk-1.example:2181,zk_2:2182,10.0.0.3:2183", chroot: "" },
    { hosts: "zk-1:2181", chroot: "/im/prod-1" },
  ]);
});

test("what is not an address is refused", () => {
  const urls = [
    "route",
    "zookeeper:127.0.0.1",
    "zookeeper://",
    "zookeeper:///cim",
    "zookeeper://host:0",
    "zookeeper://host:65536",
    "zookeeper://host:port",
    "zookeeper://a,,b",
    "zookeeper://[::1]:2181",
    "zookeeper://user@host:2181",
    "zookeeper://host:2181//cim",
    "zookeeper://host:2181/a/../b",
    "zookeeper://host:2181/a b",
    `zookeeper://${Array(65).fill("host").join(",")}`,
  ];
  expect(urls.filter((url) => parseZooKeeperAddress(url) !== null)).toEqual([]);
});
