/** What holds of a Registrar and a Directory, whoever keeps the registry between them. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { Link } from "../../common/link.ts";
import {
  addressOf,
  type Directory,
  type Registrar,
  type ServerInstance,
} from "../../common/registry/registry.ts";
import { ANNOUNCE_PATH, Leases, leaseRegistrar } from "../../common/registry/route.ts";
import { openZooKeeperDirectory } from "../../common/registry/zookeeper-directory.ts";
import { openZooKeeperRegistrar } from "../../common/registry/zookeeper-registrar.ts";
import { Tokens } from "../../common/token.ts";
import { Relay } from "../support/relay.ts";
import { until } from "../support/until.ts";
import { startZooKeeper, type ZooKeeper, zookeeperMissing } from "../support/zookeeper.ts";

const LEASE_MS = 1200;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

interface Driver {
  /** Why it cannot run here; null when it can. */
  missing: string | null;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** A registry with nobody in it. */
  open(): Promise<Registry>;
}

interface Registry {
  directory: Directory;
  /** The registrar of a server; `die` ends it as `kill -9` does, unless `revive` shows that it was only cut off. */
  join(): Promise<{ registrar: Registrar; die: () => void; revive: () => void }>;
  close(): Promise<void>;
}

suite("the route", routeDriver());
suite("ZooKeeper", zookeeperDriver());

function suite(name: string, driver: Driver): void {
  const title = driver.missing ? `kept by ${name} (${driver.missing})` : `kept by ${name}`;
  describe.skipIf(driver.missing !== null)(title, () => {
    let registry: Registry;
    const registrars: Registrar[] = [];

    beforeAll(() => driver.start());
    afterAll(() => driver.stop());
    afterEach(async () => {
      await Promise.all(registrars.splice(0).map((registrar) => registrar.leave()));
      await registry.close();
    });

    async function announce(self: () => ServerInstance, returned?: () => void): ReturnType<Registry["join"]> {
      const joined = await registry.join();
      registrars.push(joined.registrar);
      await joined.registrar.announce(self, returned);
      await until(
        `${self().bootId} is listed`,
        () => registry.directory.state(addressOf(self()), self().bootId) === "alive",
      );
      return joined;
    }

    test("announced servers are listed with all that is known of them, in a stable order", async () => {
      registry = await driver.open();
      const second = instance({ host: "server-2.example", full: true, connections: 7 });
      const first = instance({ host: "10.0.0.1", tls: true });
      await announce(() => second);
      await announce(() => first);
      expect({ servers: registry.directory.servers(), trouble: registry.directory.trouble() }).toEqual({
        servers: [first, second],
        trouble: null,
      });
    });

    test("a server that leaves is gone at once, and who watches hears of it", async () => {
      registry = await driver.open();
      const server = instance();
      const { registrar } = await announce(() => server);
      const heard: string[] = [];
      const stop = registry.directory.watch(() => heard.push("one"));
      registry.directory.watch(() => heard.push("two"));
      await registrar.leave();
      await until("who watches hears of it", () => heard.length > 0, LEASE_MS / 2);
      stop();
      await announce(() => instance({ bootId: "second" }));
      const { directory } = registry;
      expect({ heard, left: directory.state(addressOf(server), server.bootId) }).toEqual({
        heard: ["one", "two", "two"],
        left: "gone",
      });
    });

    test("a server that is killed is gone within its lease and a second", async () => {
      registry = await driver.open();
      const server = instance();
      const { die } = await announce(() => server);
      die();
      await until("it is gone", () => registry.directory.servers().length === 0, LEASE_MS + 1000);
      expect(registry.directory.state(addressOf(server), server.bootId)).toBe("gone");
    });

    test("a server that was given up while cut off is announced again, and told so", async () => {
      registry = await driver.open();
      const server = instance();
      let returns = 0;
      const { die, revive } = await announce(
        () => server,
        () => returns++,
      );
      die();
      await until("it is given up", () => registry.directory.servers().length === 0);
      expect(returns).toBe(0);
      revive();
      await until("it is alive", () => stateOf(registry.directory, server) === "alive");
      await until("it is told", () => returns > 0);
      expect(returns).toBe(1);
    });

    test("a server that keeps renewing stays", async () => {
      registry = await driver.open();
      const states = new Set<string>();
      registry.directory.watch(() => states.add(stateOf(registry.directory, instance())));
      await announce(instance);
      // Another one that dies is the clock: after its whole lease ours is there as before.
      const { die } = await announce(() => instance({ host: "10.0.0.9" }));
      die();
      await until("the other is gone", () => registry.directory.servers().length === 1, LEASE_MS + 1000);
      expect([...states, ...registry.directory.servers()]).toEqual(["alive", instance()]);
    });

    test("what changes of a server is seen at its next renewal", async () => {
      registry = await driver.open();
      let server = instance();
      await announce(() => server);
      server = instance({ connections: 42, full: true });
      await until("it is full", () => registry.directory.servers()[0]?.full);
      expect(registry.directory.servers()).toEqual([server]);
    });

    test("a server that died and starts again at its address takes its own place", async () => {
      registry = await driver.open();
      const [before, after] = [instance({ bootId: "before" }), instance({ bootId: "after" })];
      const { die } = await announce(() => before);
      die();
      await announce(() => after);
      const { directory } = registry;
      expect({
        servers: directory.servers(),
        before: stateOf(directory, before),
        after: stateOf(directory, after),
      }).toEqual({
        servers: [after],
        before: "gone",
        after: "alive",
      });
    });

    test("the late end of an earlier start changes nothing of the later one", async () => {
      registry = await driver.open();
      const later = instance({ bootId: "later" });
      const earlier = await registry.join();
      registrars.push(earlier.registrar);
      await earlier.registrar.announce(() => instance({ bootId: "earlier" }));
      earlier.die();
      await announce(() => later);
      await earlier.registrar.leave();
      // Whoever joins now is seen after all that happened before.
      await announce(() => instance({ host: "10.0.0.9" }));
      expect(registry.directory.servers()).toEqual([later, instance({ host: "10.0.0.9" })]);
    });

    test("leaving twice, or before having been announced, is no error", async () => {
      registry = await driver.open();
      const { registrar } = await announce(instance);
      await registrar.leave();
      await registrar.leave();
      const idle = await registry.join();
      await idle.registrar.leave();
      await until("it is gone", () => registry.directory.servers().length === 0);
    });
  });
}

function routeDriver(): Driver {
  return {
    missing: null,
    async start() {},
    async stop() {},
    async open() {
      const leases = new Leases(LEASE_MS);
      const handle = async (request: Request): Promise<Response> => {
        // biome-ignore lint/suspicious/noExplicitAny: the suite trusts its own side of the wire.
        const body = (await request.json()) as any;
        if (new URL(request.url).pathname === ANNOUNCE_PATH)
          return Response.json({ leaseMs: leases.announce(body) });
        leases.leave(body.address, body.bootId);
        return Response.json({});
      };
      return {
        directory: leases,
        async join() {
          let dead = false;
          const fetch = (request: Request) =>
            dead ? Promise.reject(new Error("the network is gone")) : handle(request);
          const link = new Link("server", new Tokens("a secret of the suite"), fetch);
          const registrar = leaseRegistrar(link, "http://127.0.0.1:8083", silent);
          const live = (is: boolean) => () => {
            dead = !is;
          };
          return { registrar, die: live(false), revive: live(true) };
        },
        close: () => leases.close(),
      };
    },
  };
}

function zookeeperDriver(): Driver {
  let zookeeper: ZooKeeper;
  let opened = 0;
  return {
    missing: zookeeperMissing,
    async start() {
      zookeeper = await startZooKeeper();
    },
    stop: () => zookeeper[Symbol.asyncDispose](),
    async open() {
      const chroot = `/registry/${++opened}`;
      const directory = await openZooKeeperDirectory(
        { hosts: zookeeper.host, chroot, sessionMs: LEASE_MS },
        silent,
      );
      const relays: Relay[] = [];
      return {
        directory,
        async join() {
          const relay = await Relay.open(zookeeper.port);
          relays.push(relay);
          const registrar = openZooKeeperRegistrar(
            { hosts: relay.host, chroot, sessionMs: LEASE_MS },
            silent,
          );
          return { registrar, die: () => relay.cut(), revive: () => relay.rejoin() };
        },
        async close() {
          await directory.close();
          await Promise.all(relays.map((relay) => relay.close()));
        },
      };
    },
  };
}

function instance(changes: Partial<ServerInstance> = {}): ServerInstance {
  return {
    host: "10.0.0.1",
    port: 11211,
    httpPort: 8081,
    bootId: "first",
    tls: false,
    version: "0.1.0",
    connections: 0,
    full: false,
    ...changes,
  };
}

function stateOf(directory: Directory, server: ServerInstance): string {
  return directory.state(addressOf(server), server.bootId);
}
