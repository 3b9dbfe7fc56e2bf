/** One role as several processes (CIM_WORKERS): what users notice, and what an operator does to them. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { tmpdir } from "node:os";
import type { Client } from "../../client/sdk/client.ts";
import { inOrder, join, Load, Reader } from "../support/chat.ts";
import { freePortsInARow } from "../support/ports.ts";
import { childrenOf, isRunning, PROCESS_TEST_MS, RunningProcess } from "../support/process.ts";
import { redisMissing, startRedis } from "../support/redis.ts";
import { Part, System } from "../support/system.ts";
import { until } from "../support/until.ts";
import { startZooKeeper, zookeeperMissing } from "../support/zookeeper.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const ENV = { CIM_MAX_MESSAGES_PER_SECOND: "100000", CIM_LOG: "silent" };
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe("a server of two workers", () => {
  test("is two servers: users are spread, and speak to one and to all across them", async () => {
    const { system, workers } = await started();
    const readers = await Promise.all(["a", "b", "c", "d"].map((name) => reader(system, name)));
    const [first] = readers as [Reader, ...Reader[]];
    const far = readers.find(({ client }) => client.server.port !== first.client.server.port)!;
    await first.client.sendTo(far.client.userId, "to one");
    expect(await far.count(1)).toEqual(["to one"]);
    await far.client.sendAll("to all");
    await Promise.all(
      [first, ...readers.filter((one) => one !== far && one !== first)].map((one) => one.count(1)),
    );
    const users = workers.map(({ tcp }) => readers.filter(({ client }) => client.server.port === tcp).length);
    expect([users, first.texts]).toEqual([[2, 2], ["to all"]]);
  });

  test("one of them killed under load comes back, and its users with it: nothing is lost or doubled", async () => {
    const { system, server, workers } = await started();
    const readers = await Promise.all(["r1", "r2", "r3", "r4"].map((name) => reader(system, name)));
    const senders = await Promise.all(["s1", "s2"].map((name) => member(system, name)));
    const loads = senders.map((client) => new Load(client, "all"));
    await readers[0]!.count(300);
    const [victim] = childrenOf(server.process.pid) as [number];
    process.kill(victim, "SIGKILL");
    await until("another has taken its place", () => {
      const now = childrenOf(server.process.pid);
      return now.length === 2 && !now.includes(victim);
    });
    await Promise.all(workers.map(({ url }) => healthy(url)));
    const before = readers[0]!.messages.length;
    await readers[0]!.count(before + 300, 20_000);
    await Promise.all(loads.map((load) => load.stop()));
    expect(loads.flatMap((load) => load.refused)).toEqual([]);
    const wanted = inOrder(loads);
    for (const one of readers) {
      await one.count(wanted.length);
      expect(one.messages.map(({ seq, text }) => ({ seq, text }))).toEqual(wanted as never);
    }
  });

  test("told to stop, drains both and ends with 0; its clients are told to come back", async () => {
    const { system, server } = await started();
    const clients = await Promise.all(["a", "b"].map((name) => member(system, name)));
    const reasons = clients.map((client) => waitingReason(client));
    const workers = childrenOf(server.process.pid);
    expect(await server.stop()).toBe(0);
    expect([await Promise.all(reasons), workers.filter(isRunning)]).toEqual([["shutdown", "shutdown"], []]);
  });

  test("starts a worker anew that is told to stop by itself, once it has drained; all that is logged says which it was", async () => {
    const { system, server } = await started({ CIM_LOG: "info" });
    const clients = await Promise.all(["a", "b"].map((name) => member(system, name)));
    const [first, second] = childrenOf(server.process.pid) as [number, number];
    process.kill(first, "SIGTERM");
    const log = await until("it is ready again", () => {
      const lines = server.process.output.split("\n").filter((line) => line.startsWith("{"));
      const said = lines.map(
        (line) => JSON.parse(line) as { role: string; worker: number; msg: string; why?: string },
      );
      return said.some(({ msg }) => /ready again/.test(msg)) ? said : null;
    });
    expect(log.map(({ role, worker, msg, why }) => [role, worker, why ?? msg])).toEqual(
      expect.arrayContaining([
        ["server", 1, "draining"],
        ["cim-server", 1, "ended with 0"],
        ["cim-server", 1, "the worker is ready again"],
      ]),
    );
    const [one, two] = childrenOf(server.process.pid).sort(
      (a, b) => Number(b === second) - Number(a === second),
    );
    expect([one, two !== undefined && two !== first]).toEqual([second, true]);
    await clients[0]!.sendTo(clients[1]!.userId, "still here");
    expect(await new Reader(clients[1]!).count(1)).toEqual(["still here"]);
  });

  test("leaves no worker behind when the parent is killed, and each has drained", async () => {
    const { system, server } = await started();
    const clients = await Promise.all(["a", "b"].map((name) => member(system, name)));
    const reasons = clients.map((client) => waitingReason(client));
    const workers = childrenOf(server.process.pid);
    server.process.signal("SIGKILL");
    await until("the workers have ended", () => !workers.some(isRunning));
    expect([workers.length, await Promise.all(reasons)]).toEqual([2, ["shutdown", "shutdown"]]);
  });

  test("ends at once at a second signal", async () => {
    const { server } = await started();
    const workers = childrenOf(server.process.pid);
    // A worker that hangs would hold up a drain.
    for (const worker of workers) process.kill(worker, "SIGSTOP");
    server.process.signal("SIGTERM");
    await until("it drains", async () => {
      server.process.signal("SIGTERM");
      return !server.process.running;
    });
    await until("the workers have ended", () => !workers.some(isRunning));
    expect(await server.process.exited).toBe(1);
  });

  test("takes free ports where 0 is set, each its own", async () => {
    const { system, server } = await started({ CIM_SERVER_PORT: "0", CIM_SERVER_HTTP_PORT: "0" });
    const [, tcp, second] = await server.process.printed(
      /clients +127.0.0.1:(\d+) .*\n +clients +127.0.0.1:(\d+) /,
    );
    const clients = await Promise.all(["a", "b"].map((name) => member(system, name)));
    expect(clients.map((client) => String(client.server.port)).sort()).toEqual([tcp!, second!].sort());
  });
});

describe("a start of several workers that cannot succeed ends with 1 and one line:", () => {
  const refused: Record<string, [entry: string, env: Record<string, string>, line: string]> = {
    "no number": [
      "server/main.ts",
      { CIM_WORKERS: "two" },
      "cim-server: CIM_WORKERS=two: want a whole number from 1 to 256",
    ],
    "a port that is the route's": [
      "server/main.ts",
      { CIM_WORKERS: "3", CIM_ROUTE_URL: "http://127.0.0.1:8083" },
      "cim-server: CIM_SERVER_HTTP_PORT=8081 with CIM_WORKERS=3: worker 3 would take port 8083, which is the route's (CIM_ROUTE_URL=http://127.0.0.1:8083)",
    ],
    "a port that another worker takes": [
      "server/main.ts",
      { CIM_WORKERS: "3", CIM_SERVER_PORT: "21001", CIM_SERVER_HTTP_PORT: "21003" },
      "cim-server: CIM_SERVER_HTTP_PORT=21003 with CIM_WORKERS=3: worker 1 would take port 21003, which is worker 3's CIM_SERVER_PORT",
    ],
    "a port beyond the last": [
      "server/main.ts",
      { CIM_WORKERS: "2", CIM_SERVER_PORT: "65535" },
      "cim-server: CIM_SERVER_PORT=65535 with CIM_WORKERS=2: worker 2 would take port 65536: the highest is 65535",
    ],
    "one WebSocket URL for all": [
      "server/main.ts",
      { CIM_WORKERS: "2", CIM_WEBSOCKET_URL: "wss://im.example.com/ws" },
      "cim-server: CIM_WEBSOCKET_URL=wss://im.example.com/ws with CIM_WORKERS=2: want {port} in it, which tells the workers apart",
    ],
    "a secret that none has": [
      "server/main.ts",
      { CIM_WORKERS: "2", CIM_SERVER_PORT: "0", CIM_SERVER_HTTP_PORT: "0", CIM_DATA: "/proc/cim" },
      "cim-server: worker 1 of 2: CIM_SECRET is not set and there is no /proc/cim/secret: set the CIM_SECRET that the route has",
    ],
    "a route on a store of its own": [
      "route/main.ts",
      { CIM_WORKERS: "2" },
      "cim-route: CIM_WORKERS=2: a route with several workers needs a store and a registry that they share: set CIM_STORE=redis://… and CIM_REGISTRY=zookeeper://…",
    ],
    "everything in one process": [
      "start.ts",
      { CIM_WORKERS: "2" },
      "cim: CIM_WORKERS=2: everything in one process is one worker: run the route and the servers by themselves (cim route, and CIM_WORKERS=2 cim server)",
    ],
  };
  for (const [what, [entry, env, line]] of Object.entries(refused)) {
    test(what, async () => {
      const running = new RunningProcess(["bun", entry], {
        env: { CIM_DATA: tmpdir(), CIM_LOG: "warn", ...env },
      });
      cleanups.push(() => running.kill());
      const code = await running.exited;
      await until("its output is read", () => running.output !== "");
      // Which of two workers is the first to say it is chance.
      expect({ code, output: running.output.replace("worker 2 of 2", "worker 1 of 2") }).toEqual({
        code: 1,
        output: `${line}\n`,
      });
    });
  }

  test("a worker's port that is taken; the others are not left behind", async () => {
    const { system, server } = await started();
    const again = new RunningProcess(["bun", "server/main.ts"], {
      env: {
        ...system.servers[0]!.env,
        CIM_WORKERS: "2",
        CIM_SERVER_PORT: server.env.CIM_SERVER_PORT!,
        CIM_SERVER_HTTP_PORT: "0",
      },
    });
    cleanups.push(() => again.kill());
    expect(await again.exited).toBe(1);
    const port = Number(server.env.CIM_SERVER_PORT);
    await until("its output is read", () => again.output.endsWith("\n"));
    expect(again.output).toMatch(
      new RegExp(`^cim-server: worker \\d of 2: CIM_SERVER_PORT=(${port}|${port + 1}): the port is taken\n$`),
    );
  });

  test("a worker that no parent started", async () => {
    const running = new RunningProcess(["bun", "server/main.ts", "--worker", "1"]);
    cleanups.push(() => running.kill());
    expect(await running.exited).toBe(1);
    await until("its output is read", () => running.output !== "");
    expect(running.output).toBe("cim-server: --worker: only a parent starts workers: set CIM_WORKERS\n");
  });
});

describe.skipIf(redisMissing !== null || zookeeperMissing !== null)(
  redisMissing ?? zookeeperMissing ?? "a route of two workers on Redis and ZooKeeper",
  () => {
    test("shares its port, serves on while one of them is killed, and drains with 0; so do the workers of a server", async () => {
      await using redis = await startRedis();
      await using zookeeper = await startZooKeeper();
      const env = { ...ENV, CIM_STORE: redis.url, CIM_REGISTRY: `zookeeper://${zookeeper.host}/im` };
      const system = await System.prepare({ servers: 1, env });
      cleanups.push(() => system.end());
      await system.route.start({ CIM_WORKERS: "2" });
      await system.route.process.printed(/workers +2/);
      const server = system.servers[0]!;
      server.health.splice(0);
      await server.start({ CIM_WORKERS: "2", CIM_SERVER_PORT: "0", CIM_SERVER_HTTP_PORT: "0" });
      await until("both workers of the server are in ZooKeeper", async () =>
        (await (await fetch(`${system.routeUrl}/metrics`)).text()).includes("\ncim_route_servers 2\n"),
      );
      const readers = await Promise.all(["r1", "r2"].map((name) => reader(system, name)));
      const loads = [new Load(await member(system, "s1"), "all")];
      const { pid } = system.route.process;
      // One after the other: what replaced the first has to serve while the second is gone.
      for (const victim of childrenOf(pid)) {
        await readers[0]!.count(readers[0]!.messages.length + 300, 20_000);
        process.kill(victim, "SIGKILL");
        await until("another has taken its place", () => {
          const now = childrenOf(pid);
          return now.length === 2 && !now.includes(victim);
        });
      }
      await readers[0]!.count(readers[0]!.messages.length + 300, 20_000);
      await loads[0]!.stop();
      expect(loads[0]!.refused).toEqual([]);
      const wanted = inOrder(loads);
      for (const one of readers) {
        await one.count(wanted.length);
        expect(one.messages.map(({ seq, text }) => ({ seq, text }))).toEqual(wanted as never);
      }
      expect([await server.stop(), await system.route.stop()]).toEqual([0, 0]);
      // Nothing has to expire: each took its node away.
      expect(await zookeeper.ask("dump")).not.toContain("/im/cim/");
    });
  },
);

/** A route, and a server of two workers on ports in a row. */
async function started(env: Record<string, string> = {}) {
  const system = await System.prepare({ servers: 1, env: ENV });
  cleanups.push(() => system.end());
  await system.route.start();
  const [tcp, http] = [await freePortsInARow(2), await freePortsInARow(2)];
  const ports = { CIM_SERVER_PORT: String(tcp), CIM_SERVER_HTTP_PORT: String(http), ...env };
  const workers = [0, 1].map((i) => ({ tcp: tcp + i, url: `http://127.0.0.1:${http + i}` }));
  const server = new Part("server/main.ts", { ...system.servers[0]!.env, ...ports, CIM_WORKERS: "2" }, []);
  cleanups.push(() => server.kill());
  await server.start();
  await server.process.printed(/workers +2/);
  return { system, server, workers };
}

async function member(system: System, userName: string): Promise<Client> {
  const client = await join(system, userName);
  cleanups.push(() => client.detach());
  return client;
}

async function reader(system: System, userName: string): Promise<Reader> {
  return new Reader(await member(system, userName));
}

/** The reason of the client's next wait. */
async function waitingReason(client: Client): Promise<string> {
  for await (const status of client.status) if (status.type === "waiting") return status.reason;
  throw new Error("the client ended");
}

async function healthy(url: string): Promise<void> {
  await until(`${url} is healthy`, async () => (await fetch(`${url}/health`)).ok);
}
