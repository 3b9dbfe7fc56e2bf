/** Which address a request counts for. */

const IPV4_IN_IPV6 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const IPV6 = /^[0-9a-f:.]{2,45}$/i;

/**
 * The client's address, as limits count it: what is before `trustedProxies` proxies, each of which appends the
 * address it was called from to X-Forwarded-For. Null when it is not known, or a loopback address: not limited.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | null,
  trustedProxies: number,
): string | null {
  if (peer === undefined) return null;
  const hops = trustedProxies > 0 && forwardedFor ? forwardedFor.split(",").slice(-trustedProxies) : [];
  // What a trusted proxy wrote is an address; anything else means that there is none, and the peer counts.
  const address = normal(hops[0]?.trim() ?? peer) ?? normal(peer);
  return address === null || isLoopback(address) ? null : address;
}

export function isLoopback(address: string): boolean {
  return address === "::1" || (IPV4.test(address) && address.startsWith("127."));
}

/** IPv4 as it is; of IPv6 the network of 64 bits, which is what one client has at least. */
function normal(given: string): string | null {
  const address = IPV4_IN_IPV6.exec(given)?.[1] ?? given;
  if (IPV4.test(address) || address === "::1") return address;
  if (!IPV6.test(address) || !address.includes(":")) return null;
  return network(address);
}

function network(address: string): string | null {
  const hostname = URL.parse(`http://[${address}]`)?.hostname.slice(1, -1);
  if (!hostname) return null;
  if (hostname === "::1") return hostname;
  const [head, tail] = hostname.split("::") as [string, string | undefined];
  const left = head ? head.split(":") : [];
  const right = tail ? tail.split(":") : [];
  const zeros = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill("0");
  return `${[...left, ...zeros, ...right].slice(0, 4).join(":")}::/64`;
}
