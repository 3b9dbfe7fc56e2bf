import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { Link } from "../../common/link.ts";
import { addressOf, type ServerInstance } from "../../common/registry/registry.ts";
import { ANNOUNCE_PATH, LEAVE_PATH, Leases, leaseRegistrar } from "../../common/registry/route.ts";
import { Tokens } from "../../common/token.ts";

const LEASE_MS = 3000;
const ROUTE_URL = "http://127.0.0.1:8083";
const silent = { debug() {}, info() {}, warn() {}, error() {} };

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

describe("the route's side", () => {
  test("a server is alive while it renews, and gone when its lease is over", () => {
    const leases = new Leases(LEASE_MS);
    const server = instance();
    const seen = [];
    for (const pause of [0, LEASE_MS - 1, LEASE_MS - 1]) {
      jest.advanceTimersByTime(pause);
      leases.announce(server);
      seen.push(stateOf(leases, server));
    }
    jest.advanceTimersByTime(LEASE_MS);
    seen.push(stateOf(leases, server));
    expect([seen, leases.servers()]).toEqual([["alive", "alive", "alive", "gone"], []]);
  });

  test("who watches hears of a lease that lapses, without anyone reading", () => {
    const leases = new Leases(LEASE_MS);
    leases.announce(instance());
    let changes = 0;
    leases.watch(() => changes++);
    jest.advanceTimersByTime(LEASE_MS + 1);
    expect(changes).toBe(1);
  });

  test("who watches hears of comings, goings and a server that is full, not of renewals", () => {
    const leases = new Leases(LEASE_MS);
    const heard: string[] = [];
    let step = "";
    const stop = leases.watch(() => heard.push(step));
    const steps: [string, () => void][] = [
      ["comes", () => leases.announce(instance())],
      ["renews", () => leases.announce(instance({ connections: 7 }))],
      ["is full", () => leases.announce(instance({ full: true }))],
      ["another comes", () => leases.announce(instance({ host: "10.0.0.2" }))],
      ["leaves", () => leases.leave(addressOf(instance()), "first")],
      ["leaves again", () => leases.leave(addressOf(instance()), "first")],
      ["stops watching", () => stop()],
      ["comes again", () => leases.announce(instance({ bootId: "second" }))],
    ];
    for (const [name, act] of steps) {
      step = name;
      act();
    }
    expect(heard).toEqual(["comes", "is full", "another comes", "leaves"]);
  });

  test("a renewal brings the number of connections, and the order stays", () => {
    const leases = new Leases(LEASE_MS);
    for (const host of ["b", "c", "a"]) leases.announce(instance({ host }));
    leases.announce(instance({ host: "c", connections: 5 }));
    expect(leases.servers().map(({ host, connections }) => [host, connections])).toEqual([
      ["a", 0],
      ["b", 0],
      ["c", 5],
    ]);
  });

  test("a new start at the same address is the server at once, and the old one cannot come back", () => {
    const leases = new Leases(LEASE_MS);
    const [first, second] = [instance({ bootId: "first" }), instance({ bootId: "second" })];
    leases.announce(first);
    leases.announce(second);
    expect(() => leases.announce(first)).toThrow("10.0.0.1:11211:8081: this start of the server is over");
    expect([stateOf(leases, first), stateOf(leases, second), leases.servers()]).toEqual([
      "gone",
      "alive",
      [second],
    ]);
  });

  test("a server that left is gone at once, and a renewal that comes late does not bring it back", () => {
    const leases = new Leases(LEASE_MS);
    leases.announce(instance());
    leases.leave(addressOf(instance()), "first");
    expect(() => leases.announce(instance())).toThrow("is over");
    expect([stateOf(leases, instance()), leases.servers()]).toEqual(["gone", []]);
  });

  test("a late goodbye of an old start leaves the new one alone", () => {
    const leases = new Leases(LEASE_MS);
    leases.announce(instance({ bootId: "second" }));
    leases.leave(addressOf(instance()), "first");
    expect(stateOf(leases, instance({ bootId: "second" }))).toBe("alive");
  });

  test("a server that was silent for a while comes back under the same start", () => {
    const leases = new Leases(LEASE_MS);
    leases.announce(instance());
    jest.advanceTimersByTime(5 * LEASE_MS);
    leases.announce(instance());
    expect(stateOf(leases, instance())).toBe("alive");
  });

  test("until the first lease is over nothing is said of servers it has not heard of", () => {
    const leases = new Leases(LEASE_MS);
    const unheard = instance({ host: "10.0.0.9" });
    leases.announce(instance({ bootId: "second" }));
    const states = [stateOf(leases, unheard), stateOf(leases, instance({ bootId: "first" }))];
    jest.advanceTimersByTime(LEASE_MS);
    states.push(stateOf(leases, unheard));
    expect(states).toEqual(["unknown", "gone", "gone"]);
  });
});

describe("the server's side", () => {
  test("announces what the server says of itself, and renews before a third of the lease is over", async () => {
    const route = await FakeRoute.open();
    let connections = 0;
    const registrar = leaseRegistrar(route.link, ROUTE_URL, silent);
    await registrar.announce(() => instance({ connections: connections++ }));
    for (let i = 0; i < 3; i++) await pass(LEASE_MS / 3);
    await registrar.leave();
    expect(route.calls).toEqual([
      [ANNOUNCE_PATH, instance({ connections: 0 })],
      [ANNOUNCE_PATH, instance({ connections: 1 })],
      [ANNOUNCE_PATH, instance({ connections: 2 })],
      [ANNOUNCE_PATH, instance({ connections: 3 })],
      [LEAVE_PATH, { address: "10.0.0.1:11211:8081", bootId: "first" }],
    ]);
  });

  test("tries again in a quarter of a second, and then every second at most, until the route is there", async () => {
    const route = await FakeRoute.open();
    route.away = true;
    const said: string[] = [];
    const say = (_: object, text: string) => said.push(text);
    const registrar = leaseRegistrar(route.link, ROUTE_URL, { ...silent, info: say, warn: say });
    let announced = false;
    const done = registrar.announce(() => instance()).then(() => (announced = true));
    await pass(0);
    const away = [registrar.trouble(), announced];
    await pass(250);
    await pass(500);
    await pass(1000);
    const tries = route.tries;
    route.away = false;
    await pass(1000);
    await done;
    // It said nothing at a start, where the route's URL is wrong most often.
    expect(said).toEqual(["cannot announce to the route", "announced to the route"]);
    expect([away, tries, route.tries, announced, registrar.trouble()]).toEqual([
      [
        "the route cannot be told of this server: no answer from http://127.0.0.1:8083/internal/announce in 2000 ms: refused (CIM_ROUTE_URL)",
        false,
      ],
      4,
      5,
      true,
      null,
    ]);
    await registrar.leave();
  });

  test("a route that comes back knows the server again within a second", async () => {
    const route = await FakeRoute.open(600_000);
    const registrar = leaseRegistrar(route.link, ROUTE_URL, silent);
    await registrar.announce(() => instance());
    route.calls.length = 0;
    await pass(1000);
    expect(route.calls).toEqual([[ANNOUNCE_PATH, instance()]]);
    await registrar.leave();
  });

  test("leaving takes no longer than its two calls may, with a route that never answers", async () => {
    const route = await FakeRoute.open();
    const registrar = leaseRegistrar(route.link, ROUTE_URL, silent);
    await registrar.announce(() => instance());
    route.hangs = true;
    await pass(1000);
    let left = false;
    const leaving = registrar.leave().then(() => (left = true));
    await pass(2000);
    await pass(2000);
    await leaving;
    expect(left).toBe(true);
  });
});

/** A route at the other end of the link, whose answers the test decides. */
class FakeRoute {
  readonly calls: [string, unknown][] = [];
  tries = 0;
  away = false;
  hangs = false;
  readonly link = new Link("server", new Tokens("a secret of both"), (request) => this.#answer(request));

  private constructor(readonly leaseMs: number) {}

  static async open(leaseMs = LEASE_MS): Promise<FakeRoute> {
    const route = new FakeRoute(leaseMs);
    // Its service token takes real time to sign, once; from here on only the fake clock counts.
    await route.link.post(`${ROUTE_URL}/warm-up`, "{}");
    route.calls.length = 0;
    route.tries = 0;
    return route;
  }

  async #answer(request: Request): Promise<Response> {
    this.tries++;
    if (this.away) throw new Error("refused");
    if (this.hangs) {
      return new Promise((_, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
      });
    }
    this.calls.push([new URL(request.url).pathname, await request.json()]);
    return Response.json({ leaseMs: this.leaseMs });
  }
}

/** Lets fake time pass, and then everything happen that it set off. */
async function pass(ms: number): Promise<void> {
  await settle();
  jest.advanceTimersByTime(ms);
  await settle();
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => process.nextTick(resolve));
}

function stateOf(leases: Leases, server: ServerInstance): string {
  return leases.state(addressOf(server), server.bootId);
}

function instance(given: Partial<ServerInstance> = {}): ServerInstance {
  return {
    host: "10.0.0.1",
    port: 11211,
    httpPort: 8081,
    bootId: "first",
    tls: false,
    version: "1",
    connections: 0,
    full: false,
    ...given,
  };
}
