import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { Link } from "../../common/link.ts";
import { addressOf, type ServerInstance, v2BootId } from "../../common/registry/registry.ts";
import { Leases } from "../../common/registry/route.ts";
import { Tokens } from "../../common/token.ts";
import { Servers } from "../../route/servers.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

let leases: Leases;
let servers: Servers;
/** Hosts in the order in which they were asked whether they are there. */
let probed: string[];
/** Hosts that refuse, and hosts that never answer. */
let refusing: Set<string>;
let hanging: Set<string>;

beforeEach(() => {
  jest.useFakeTimers();
  leases = new Leases(600_000);
  probed = [];
  refusing = new Set();
  hanging = new Set();
  servers = open("round-robin");
});
afterEach(async () => {
  jest.useRealTimers();
  await leases.close();
});

test("one that answered within the last second is not asked again", async () => {
  announce("a");
  await servers.choose(1);
  jest.advanceTimersByTime(999);
  await servers.choose(2);
  jest.advanceTimersByTime(1);
  await servers.choose(3);
  expect(probed).toEqual(["a", "a"]);
});

test("logins at once share the question", async () => {
  announce("a");
  await Promise.all(Array.from({ length: 100 }, (_, i) => servers.choose(i + 1)));
  expect(probed).toEqual(["a"]);
});

test("one that refuses is left alone for three seconds", async () => {
  announce("a", "b");
  refusing.add("a");
  const chosen = [];
  for (let i = 0; i < 6; i++) {
    chosen.push((await servers.choose(i + 1)).host);
    jest.advanceTimersByTime(500);
  }
  refusing.clear();
  jest.advanceTimersByTime(3000);
  const later = [(await servers.choose(1)).host, (await servers.choose(2)).host].sort();
  expect([chosen, later, probed.filter((host) => host === "a").length]).toEqual([
    ["b", "b", "b", "b", "b", "b"],
    ["a", "b"],
    2,
  ]);
});

test("one that does not answer within a second is passed over", async () => {
  announce("a", "b");
  hanging.add("a");
  const choice = servers.choose(1);
  await Promise.resolve();
  jest.advanceTimersByTime(1000);
  expect((await choice).host).toBe("b");
});

test("one that calls while it is asked is only slow, unless what was sent to it did not arrive", async () => {
  const [a] = announce("a") as [ServerInstance];
  hanging.add("a");
  const choose = async () => {
    const choice = servers.choose(1).then(
      ({ host }) => host,
      ({ code }) => code,
    );
    await Promise.resolve();
    servers.heard(addressOf(a), a.bootId);
    jest.advanceTimersByTime(1000);
    return choice;
  };
  const slow = await choose();
  refusing.add("a");
  await servers.post(a, new Uint8Array()).catch(() => undefined);
  refusing.clear();
  expect([slow, await choose()]).toEqual(["a", "7100"]);
});

test("when the only one there is did not answer, it is asked again", async () => {
  announce("a");
  refusing.add("a");
  expect(servers.choose(1)).rejects.toMatchObject({
    code: "7100",
    message: "none of 1 servers takes a login",
  });
  await Promise.resolve();
  refusing.clear();
  expect((await servers.choose(1)).host).toBe("a");
});

test("one that is full gets no logins, and is still found for messages", async () => {
  const [a] = announce("a", "b") as [ServerInstance];
  leases.announce({ ...a, full: true });
  const chosen = new Set<string>();
  for (let i = 0; i < 4; i++) chosen.add((await servers.choose(i + 1)).host);
  expect([[...chosen], servers.find(addressOf(a), a.bootId)?.host]).toEqual([["b"], "a"]);
});

test("a CIM v2 server is not given to a client with a token", async () => {
  leases.announce(instance("v2", v2BootId("1")));
  announce("ours");
  const chosen = new Set<string>();
  for (let i = 0; i < 4; i++) chosen.add((await servers.choose(i + 1, "ours")).host);
  expect([...chosen]).toEqual(["ours"]);
});

test("least-connections counts the logins it sent since a server last said how many it has", async () => {
  servers = open("least-connections");
  const [a] = announce("a", "b") as [ServerInstance];
  leases.announce({ ...a, connections: 2 });
  const chosen = [];
  for (let i = 0; i < 5; i++) chosen.push((await servers.choose(i + 1)).host);
  leases.announce({ ...instance("b"), connections: 1 });
  chosen.push((await servers.choose(9)).host);
  expect(chosen).toEqual(["b", "b", "a", "b", "a", "b"]);
});

test("only the very start of a server is found", () => {
  const [a] = announce("a") as [ServerInstance];
  const found = [servers.find(addressOf(a), a.bootId), servers.find(addressOf(a), "another")];
  leases.announce({ ...a, bootId: "another" });
  found.push(servers.find(addressOf(a), a.bootId));
  expect(found).toEqual([a, null, null]);
});

test("a push that a server took counts as an answer, one that failed as none", async () => {
  const [a] = announce("a") as [ServerInstance];
  await servers.post(a, new Uint8Array());
  await servers.choose(1);
  const before = probed.length;
  refusing.add("a");
  await servers.post(a, new Uint8Array()).catch(() => {});
  refusing.clear();
  await servers.choose(1);
  expect([before, probed.length]).toEqual([0, 1]);
});

function open(pick: "round-robin" | "least-connections"): Servers {
  const link = new Link("route", new Tokens("a secret of both"), async (request) => {
    const { hostname, pathname } = new URL(request.url);
    if (pathname === "/health") probed.push(hostname);
    if (refusing.has(hostname)) throw new Error("refused");
    if (!hanging.has(hostname)) return new Response("ok");
    return new Promise((_, reject) => {
      request.signal.addEventListener("abort", () => reject(request.signal.reason));
    });
  });
  return new Servers({ directory: leases, link, pick, logger: silent });
}

function announce(...hosts: string[]): ServerInstance[] {
  const announced = hosts.map((host) => instance(host));
  for (const server of announced) leases.announce(server);
  return announced;
}

function instance(host: string, bootId = `boot of ${host}`): ServerInstance {
  return { host, port: 11211, httpPort: 8081, bootId, tls: false, version: "1", connections: 0, full: false };
}
