/** What stands in ZooKeeper for one server: CIM v2's node name, and in the node's data, which CIM v2 ignores, the rest. */
import { z } from "zod";
import { type ServerInstance, v2BootId } from "./registry.ts";
import type { ZooKeeperNode } from "./zookeeper-client.ts";

/** Below the chroot; the nodes of servers lie in it. */
export const ROOT = "/cim";

const MAX_DATA_BYTES = 4096;
// No leading zeros: a name and the address in it are to be the same text.
const NAME = /^([a-zA-Z0-9_.-]{1,253}):([1-9]\d{0,4}):([1-9]\d{0,4})$/;
const MAX_PORT = 65535;

const nodeData = z.object({
  bootId: z.string().min(1).max(64),
  tls: z.boolean(),
  version: z.string().max(64),
  connections: z.number().int().nonnegative(),
  full: z.boolean(),
  webSocketUrl: z.string().max(1024).optional(),
});

type Address = Pick<ServerInstance, "host" | "port" | "httpPort">;

/** The address in a node's name; null when it is not one. */
export function parseNodeName(name: string): Address | null {
  const [, host, port, httpPort] = NAME.exec(name) ?? [];
  if (!host || Number(port) > MAX_PORT || Number(httpPort) > MAX_PORT) return null;
  return { host, port: Number(port), httpPort: Number(httpPort) };
}

export function encodeNodeData(server: ServerInstance): Buffer {
  return Buffer.from(JSON.stringify(nodeData.parse(server)));
}

/** The server of a node. One without our data is a CIM v2 server. */
export function decodeNode(address: Address, { data, id }: ZooKeeperNode): ServerInstance {
  const ours = nodeData.safeParse(data.length > MAX_DATA_BYTES ? null : parseJson(data));
  if (ours.success) return { ...address, ...ours.data };
  return { ...address, bootId: v2BootId(id), tls: false, version: "", connections: 0, full: false };
}

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return null;
  }
}
