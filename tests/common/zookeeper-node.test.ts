import { expect, test } from "bun:test";
import type { ServerInstance } from "../../common/registry/registry.ts";
import { decodeNode, encodeNodeData, parseNodeName } from "../../common/registry/zookeeper-node.ts";

const address = { host: "10.0.0.1", port: 11211, httpPort: 8081 };
const ours: ServerInstance = {
  ...address,
  bootId: "b1",
  tls: true,
  version: "0.1.0",
  connections: 3,
  full: true,
};
const v2: ServerInstance = {
  ...address,
  bootId: "v2-0000000000000007",
  tls: false,
  version: "",
  connections: 0,
  full: false,
};

test("a node's name is host, port and HTTP port, and nothing else is", () => {
  const names = [
    "10.0.0.1:11211:8081",
    "cim-server-0.cim:1:65535",
    "10.0.0.1:11211",
    "10.0.0.1:11211:8081:1",
    "10.0.0.1:0:8081",
    "10.0.0.1:011211:8081",
    "10.0.0.1:11211:65536",
    "::1:11211:8081",
    "a b:1:2",
    ":1:2",
    "",
  ];
  expect(names.map(parseNodeName)).toEqual([
    address,
    { host: "cim-server-0.cim", port: 1, httpPort: 65535 },
    ...Array(9).fill(null),
  ]);
});

test("a node's data brings back all of a server, and does not repeat its address", () => {
  const data = encodeNodeData(ours);
  expect({ text: data.toString(), server: decodeNode(address, node(data)) }).toEqual({
    text: '{"bootId":"b1","tls":true,"version":"0.1.0","connections":3,"full":true}',
    server: ours,
  });
});

test("fields that a later version adds are passed over", () => {
  const data = JSON.stringify({ ...ours, zone: "eu-1" });
  expect(decodeNode(address, node(data))).toEqual(ours);
});

test("a node without our data is a CIM v2 server", () => {
  const foreign = [
    "",
    "null",
    "[]",
    "{",
    "10.0.0.1",
    '{"bootId":""}',
    JSON.stringify({ ...ours, connections: -1 }),
    JSON.stringify({ ...ours, version: "1".repeat(5000) }),
    JSON.stringify({ ...ours, padding: " ".repeat(5000) }),
  ];
  expect(foreign.map((text) => decodeNode(address, node(text)))).toEqual(foreign.map(() => v2));
});

function node(data: string | Buffer) {
  return { data: Buffer.from(data), id: "0000000000000007" };
}
