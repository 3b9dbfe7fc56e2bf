/** Where ZooKeeper is: `zookeeper://host:port,host:port/chroot`. */
export interface ZooKeeperAddress {
  /** host:port,host:port … of the ensemble's members. */
  hosts: string;
  /** The node under which all of ours lie, as "/name"; "" for the root. */
  chroot: string;
}

const DEFAULT_PORT = "2181";
const MAX_MEMBERS = 64;
const MEMBER = /^([a-zA-Z0-9_.-]{1,253})(?::(\d{1,5}))?$/;
// What ZooKeeper allows in names and nobody needs (spaces, control characters, dots alone) is left out.
const CHROOT = /^(\/(?!\.{1,2}(\/|$))[\w.-]{1,255}){0,16}$/;

/** The address a setting names; null when it is not one. */
export function parseZooKeeperAddress(url: string): ZooKeeperAddress | null {
  const [, members, path] = /^zookeeper:\/\/([^/]+)(.*)$/.exec(url) ?? [];
  if (!members) return null;
  const chroot = path!.replace(/\/$/, "");
  if (!CHROOT.test(chroot)) return null;
  const hosts = members.split(",").map(parseMember);
  if (hosts.includes(null) || hosts.length > MAX_MEMBERS) return null;
  return { hosts: hosts.join(","), chroot };
}

function parseMember(member: string): string | null {
  const [, host, port = DEFAULT_PORT] = MEMBER.exec(member) ?? [];
  if (!host || Number(port) < 1 || Number(port) > 65535) return null;
  return `${host}:${Number(port)}`;
}
