import { describe, expect, test } from "bun:test";
import { addressOf, type ServerInstance } from "../../common/registry/registry.ts";
import { type Choice, PICKS } from "../../route/pick.ts";

const USERS = 100_000;
const SERVERS = Array.from({ length: 10 }, (_, i) => instance(`10.0.0.${i + 1}`));

describe("round-robin", () => {
  test("gives the servers their turn, one after another", () => {
    const picked = Array.from({ length: 12 }, (_, turn) => PICKS["round-robin"](SERVERS, choice({ turn })));
    expect(picked).toEqual([...SERVERS, SERVERS[0]!, SERVERS[1]!]);
  });
});

describe("random", () => {
  test("takes the first server at 0 and the last just below 1", () => {
    expect([0, 0.55, 1 - Number.EPSILON].map((random) => PICKS.random(SERVERS, choice({ random })))).toEqual([
      SERVERS[0]!,
      SERVERS[5]!,
      SERVERS[9]!,
    ]);
  });
});

describe("least-connections", () => {
  test("takes the server with the fewest connections, the first of equals", () => {
    const loads = [5, 3, 3, 9, 4, 8, 7, 6, 5, 4];
    const load = (server: ServerInstance) => loads[SERVERS.indexOf(server)]!;
    expect(PICKS["least-connections"](SERVERS, choice({ load }))).toEqual(SERVERS[1]!);
  });
});

describe("consistent-hash", () => {
  const pick = (servers: readonly ServerInstance[], userId: number) =>
    PICKS["consistent-hash"](servers, choice({ userId }));

  // CIM v2 has 2 virtual nodes a server: the busiest of 10 carries twice the mean.
  test.each([
    ["numbered one after another", (i: number) => i + 1],
    ["as CIM v2 makes them, from the clock", (i: number) => 1_547_028_929_407 + 37 * i],
    ["the highest there are", (i: number) => Number.MAX_SAFE_INTEGER - i],
  ])("gives the busiest of ten servers at most 1.15 of the mean, with userIds %s", (_, userId) => {
    const users = new Map<ServerInstance, number>();
    for (let i = 0; i < USERS; i++) {
      const server = pick(SERVERS, userId(i));
      users.set(server, (users.get(server) ?? 0) + 1);
    }
    expect(users.size).toBe(SERVERS.length);
    expect(Math.max(...users.values())).toBeLessThanOrEqual((1.15 * USERS) / SERVERS.length);
  });

  test("a server that leaves moves its own users and nobody else's", () => {
    const left = SERVERS[4]!;
    const rest = SERVERS.filter((server) => server !== left);
    const moved = new Set<string>();
    for (let userId = 1; userId <= USERS; userId++) {
      const before = pick(SERVERS, userId);
      if (pick(rest, userId) !== before) moved.add(addressOf(before));
    }
    expect([...moved]).toEqual([addressOf(left)]);
  });

  test("the order of the list and a restart at the same address change nothing", () => {
    const restarted = SERVERS.map((server) => ({ ...server, bootId: "another" })).reverse();
    for (let userId = 1; userId <= 1000; userId++) {
      expect(addressOf(pick(restarted, userId))).toBe(addressOf(pick(SERVERS, userId)));
    }
  });
});

function choice(given: Partial<Choice>): Choice {
  return { userId: 1, turn: 0, random: 0, load: (server) => server.connections, ...given };
}

function instance(host: string): ServerInstance {
  return {
    host,
    port: 11211,
    httpPort: 8081,
    bootId: `boot of ${host}`,
    tls: false,
    version: "1",
    connections: 0,
    full: false,
  };
}
