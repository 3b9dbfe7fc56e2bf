import { expect, test } from "bun:test";
import { clientAddress } from "../../route/address.ts";

const PEER = "203.0.113.9";

test.each<[string, string | undefined, string | null, number, string | null]>([
  ["the peer's", PEER, null, 0, PEER],
  ["not what a client claims", PEER, "198.51.100.1", 0, PEER],
  ["what one proxy wrote", PEER, "198.51.100.1", 1, "198.51.100.1"],
  ["the last of what is written, behind one proxy", PEER, "6.6.6.6, 198.51.100.1", 1, "198.51.100.1"],
  ["the second last behind two", PEER, "6.6.6.6, 198.51.100.1, 192.0.2.7", 2, "198.51.100.1"],
  ["the first there is, with fewer hops than proxies", PEER, "198.51.100.1", 3, "198.51.100.1"],
  ["the peer's, when a proxy wrote nothing", PEER, null, 1, PEER],
  ["the peer's, when what is written is no address", PEER, "login:name:bob", 1, PEER],
  ["IPv4 in IPv6 as IPv4", "::ffff:203.0.113.9", null, 0, PEER],
  ["the network of an IPv6 address", "2001:db8:1:2:3:4:5:6", null, 0, "2001:db8:1:2::/64"],
  ["the same for another address of that network", "2001:DB8:1:2::9", null, 0, "2001:db8:1:2::/64"],
  ["an abbreviated IPv6 network", "2001:db8::1", null, 0, "2001:db8:0:0::/64"],
  ["none for loopback", "127.0.0.1", null, 0, null],
  ["none for loopback in IPv6", "::1", null, 0, null],
  ["none for loopback as IPv6 writes IPv4", "::ffff:127.0.0.5", null, 0, null],
  ["the client's behind a proxy on this machine", "127.0.0.1", "198.51.100.1", 1, "198.51.100.1"],
  ["none when nobody says", undefined, "198.51.100.1", 1, null],
])("an address counts as %s", (_, peer, forwardedFor, proxies, expected) => {
  expect(clientAddress(peer, forwardedFor, proxies)).toBe(expected);
});
