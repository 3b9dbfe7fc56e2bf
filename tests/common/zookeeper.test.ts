/** What ZooKeeper goes through, with real ones: our servers stay found and our routes keep serving. */
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { join } from "node:path";
import {
  addressOf,
  type Directory,
  type Registrar,
  type ServerInstance,
  v2BootId,
} from "../../common/registry/registry.ts";
import { ZooKeeperClient } from "../../common/registry/zookeeper-client.ts";
import { openZooKeeperDirectory } from "../../common/registry/zookeeper-directory.ts";
import { openZooKeeperRegistrar } from "../../common/registry/zookeeper-registrar.ts";
import { RunningProcess } from "../support/process.ts";
import { Relay } from "../support/relay.ts";
import { until } from "../support/until.ts";
import {
  prepareZooKeeper,
  startEnsemble,
  startZooKeeper,
  type ZooKeeper,
  zookeeperMissing,
} from "../support/zookeeper.ts";

const SESSION_MS = 1200;
const SECOND_MS = 1000;
const REGISTERED = join(import.meta.dir, "../support/registered.ts");

setDefaultTimeout(30 * SECOND_MS);

/** For tests that leave it as it is; each has its own place in it. */
let shared: ZooKeeper;
let chroot = "";
let tests = 0;

const opened: { close(): PromiseLike<unknown> }[] = [];
afterEach(async () => {
  for (const resource of opened.splice(0).reverse()) await resource.close();
});

describe.skipIf(zookeeperMissing !== null)(zookeeperMissing ?? "with a real ZooKeeper", () => {
  beforeAll(async () => {
    shared = await startZooKeeper();
  });
  afterAll(() => shared[Symbol.asyncDispose]());
  beforeEach(() => {
    chroot = `/im/test-${++tests}`;
  });

  // A route used to take a server that another route had already logged users in on, and that it was told of a moment
  // later, for one that is gone: what was sent to these users was not pushed.
  test("a start nobody has heard of is gone only once a list read since then lacks it", async () => {
    const directory = await openDirectory(shared.host);
    const server = instance();
    const before = stateOf(directory, server);
    await openRegistrar(shared.host).announce(() => server);
    await until("it is heard of", () => stateOf(directory, server) === "alive");
    const never = { ...server, bootId: "never there" };
    const first = stateOf(directory, never);
    await until("the list was read", () => stateOf(directory, never) === "gone");
    expect({ before, first }).toEqual({ before: "unknown", first: "unknown" });
  });

  test("a ZooKeeper that is down at the start is waited for, and it is said", async () => {
    const zookeeper = disposed(await prepareZooKeeper());
    const lines: string[] = [];
    const directory = await openDirectory(zookeeper.host, lines);
    const registrar = openRegistrar(zookeeper.host, lines);
    let announced = false;
    const announcing = registrar.announce(instance).then(() => {
      announced = true;
    });
    const complaint = `no answer from zookeeper ${zookeeper.host} in`;
    await until("it is logged twice", () => lines.filter((line) => line.includes(complaint)).length >= 2);
    const away = {
      announced,
      troubles: [directory, registrar].map((side) => side.trouble()?.startsWith(complaint)),
      state: stateOf(directory, instance()),
    };
    await zookeeper.start();
    await announcing;
    await until("it is listed", () => directory.servers().length === 1);
    const back = {
      announced,
      troubles: [directory, registrar].map((side) => side.trouble()),
      state: stateOf(directory, instance()),
    };
    expect({ away, back }).toEqual({
      away: { announced: false, troubles: [true, true], state: "unknown" },
      back: { announced: true, troubles: [null, null], state: "alive" },
    });
  });

  test("while ZooKeeper is restarted the last list serves, and afterwards newcomers are found", async () => {
    const zookeeper = disposed(await startZooKeeper());
    const directory = await openDirectory(zookeeper.host);
    await openRegistrar(zookeeper.host).announce(instance);
    const seen = await watchServers(directory);
    await zookeeper.kill();
    const newcomer = instance({ host: "10.0.0.2" });
    const announcing = openRegistrar(zookeeper.host).announce(() => newcomer);
    await zookeeper.start();
    await announcing;
    await until("the newcomer is found", () => stateOf(directory, newcomer) === "alive");
    expect(seen()).toEqual([["10.0.0.1"], ["10.0.0.1", "10.0.0.2"]]);
  });

  test("a ZooKeeper that hangs until all sessions are over makes no server disappear", async () => {
    const zookeeper = disposed(await startZooKeeper());
    const directory = await openDirectory(zookeeper.host);
    const registrar = openRegistrar(zookeeper.host);
    await registrar.announce(instance);
    const seen = await watchServers(directory);
    zookeeper.pause();
    await until("the registration counts as over", () => registrar.trouble());
    zookeeper.resume();
    // Anew, or, if ZooKeeper woke in time after all, as before: either way nobody may see it gone.
    await until("it is registered again", () => registrar.trouble() === null);
    const newcomer = instance({ host: "10.0.0.2" });
    await openRegistrar(zookeeper.host).announce(() => newcomer);
    await until("the newcomer is found", () => stateOf(directory, newcomer) === "alive");
    expect(seen()).toEqual([["10.0.0.1"], ["10.0.0.1", "10.0.0.2"]]);
  });

  test("a server that did not outlive ZooKeeper's hang is gone one session later", async () => {
    const zookeeper = disposed(await startZooKeeper());
    const directory = await openDirectory(zookeeper.host);
    const relay = closed(await Relay.open(zookeeper.port));
    await openRegistrar(relay.host).announce(instance);
    const survivor = instance({ host: "10.0.0.2" });
    const registrar = openRegistrar(zookeeper.host);
    await registrar.announce(() => survivor);
    await until("both are listed", () => directory.servers().length === 2);
    zookeeper.pause();
    relay.cut();
    await until("the registration counts as over", () => registrar.trouble());
    zookeeper.resume();
    await until("one is gone", () => directory.servers().length === 1);
    expect(directory.servers()).toEqual([survivor]);
  });

  test("a server cut off until its session expired is gone, and registers anew once it is joined again", async () => {
    const directory = await openDirectory(shared.host);
    const relay = closed(await Relay.open(shared.port));
    const registrar = openRegistrar(relay.host);
    await registrar.announce(instance);
    const seen = await watchServers(directory);
    relay.cut();
    await until("it is gone", () => directory.servers().length === 0, SESSION_MS + SECOND_MS);
    relay.rejoin();
    await until("it is back", () => directory.servers().length === 1);
    await until("it says so", () => registrar.trouble() === null);
    expect(seen()).toEqual([["10.0.0.1"], [], ["10.0.0.1"]]);
  });

  test("a server killed with -9 is gone within its session and a second", async () => {
    const directory = await openDirectory(shared.host);
    const server = await startRegistered("killed");
    await until("it is listed", () => directory.servers().length === 1);
    await server.kill();
    await until("it is gone", () => directory.servers().length === 0, SESSION_MS + SECOND_MS);
  });

  test("a server restarted quickly takes the place its killed predecessor still holds, and keeps it", async () => {
    const directory = await openDirectory(shared.host);
    const before = await startRegistered("before");
    await until("it is listed", () => directory.servers().length === 1);
    const places: number[] = [];
    directory.watch(() => places.push(directory.servers().length));
    await before.kill();
    await startRegistered("after");
    await until("the new start is listed", () => directory.servers()[0]?.bootId === "after");
    // A third server that dies later than the first is the clock: the first one's session has expired by then.
    const clock = closed(await Relay.open(shared.port));
    await openRegistrar(clock.host).announce(() => instance({ host: "10.0.0.3" }));
    await until("the third is listed", () => directory.servers().length === 2);
    clock.cut();
    await until("the third is gone", () => directory.servers().length === 1);
    expect({ places, bootIds: directory.servers().map((server) => server.bootId) }).toEqual({
      places: [1, 2, 1],
      bootIds: ["after"],
    });
  });

  test("a node that someone deleted is made again", async () => {
    const directory = await openDirectory(shared.host);
    await openRegistrar(shared.host).announce(instance);
    const seen = await watchServers(directory);
    const other = await connectClient(shared.host);
    await other.replace(`${chroot}/cim/${addressOf(instance())}`, Buffer.alloc(0));
    await other.close();
    await until(
      "it is listed as before",
      () => stateOf(directory, instance()) === "alive" && seen().length > 1,
    );
    expect(directory.servers()).toEqual([instance()]);
  });

  test("an ensemble of three that loses its leader loses no server, and takes new ones", async () => {
    const ensemble = disposed(await startEnsemble());
    const directory = await openDirectory(ensemble.hosts);
    await openRegistrar(ensemble.hosts).announce(instance);
    const seen = await watchServers(directory);
    const leader = await ensemble.leader();
    await leader.kill();
    const second = instance({ host: "10.0.0.2" });
    await openRegistrar(ensemble.hosts).announce(() => second);
    await until("the second is found", () => stateOf(directory, second) === "alive");
    await leader.start();
    const next = await ensemble.leader();
    next.pause();
    const third = instance({ host: "10.0.0.3" });
    await openRegistrar(ensemble.hosts).announce(() => third);
    await until("the third is found", () => stateOf(directory, third) === "alive");
    next.resume();
    expect(seen()).toEqual([["10.0.0.1"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.2", "10.0.0.3"]]);
  });

  test("CIM v2 servers are listed by their registration, and other nodes are passed over with one warning", async () => {
    const client = await connectClient(shared.host);
    const path = `${chroot}/cim/10.0.0.7:11211:8081`;
    await client.makeParents(path);
    const { id } = (await client.data(path))!;
    await client.makeParents(`${chroot}/cim/not a server`);
    const lines: string[] = [];
    const directory = await openDirectory(shared.host, lines);
    await openRegistrar(shared.host).announce(instance);
    await until("ours is listed as well", () => directory.servers().length === 2);
    await client.close();
    const v2 = instance({ host: "10.0.0.7", bootId: v2BootId(id), version: "" });
    expect({
      servers: directory.servers(),
      v2: stateOf(directory, v2),
      warnings: lines.filter((line) => line.includes("not a server")).length,
    }).toEqual({ servers: [instance(), v2], v2: "alive", warnings: 1 });
  });

  test("a node is written when something changed, and not otherwise", async () => {
    let connections = 0;
    let asked = 0;
    await openRegistrar(shared.host).announce(() => {
      asked++;
      return instance({ connections });
    });
    let written = 0;
    const path = `${chroot}/cim/${addressOf(instance())}`;
    const client: ZooKeeperClient = await connectClient(shared.host, () => {
      written++;
      void client.data(path);
    });
    await client.data(path);
    const before = asked;
    await until("four renewals", () => asked >= before + 4);
    connections = 1;
    await until("it is written", () => written > 0);
    const afterwards = asked;
    await until("two renewals more", () => asked >= afterwards + 2);
    await client.close();
    expect(written).toBe(1);
  });

  test("an error that the library does not know is one like others", async () => {
    const zookeeper = disposed(await prepareZooKeeper({ enforceQuota: true }));
    await zookeeper.start();
    const client = await connectClient(zookeeper.host);
    const quota = "/zookeeper/quota/im";
    for (const path of ["/im", `${quota}/zookeeper_stats`, `${quota}/zookeeper_limits`])
      await client.makeParents(path);
    await client.setData(`${quota}/zookeeper_stats`, Buffer.from("count=1,bytes=0"));
    await client.setData(`${quota}/zookeeper_limits`, Buffer.from("countHardLimit=1"));
    const failed = await client
      .create("/im/one-too-many", Buffer.alloc(0))
      .catch((error: Error) => error.message);
    expect({ failed, connected: client.connected }).toEqual({
      failed: "zookeeper answered with error -125",
      connected: true,
    });
    await client.close();
  });

  test("an address that CIM v2 could not split is refused", async () => {
    const registrar = openRegistrar("127.0.0.1:1");
    const host = "fd00::2";
    const refusal = await registrar.announce(() => instance({ host })).catch((error: Error) => error.message);
    expect(refusal).toBe(
      "cannot register fd00::2:11211:8081 with zookeeper: want a host name or IPv4 address, as CIM v2 splits at the colons (CIM_ADVERTISE)",
    );
  });

  test("leaving a ZooKeeper that hangs ends in time", async () => {
    const zookeeper = disposed(await startZooKeeper());
    const registrar = openZooKeeperRegistrar(connection(zookeeper.host), silent);
    await registrar.announce(instance);
    zookeeper.pause();
    const leaving = registrar.leave().then(() => "left");
    expect(await Promise.race([leaving, Bun.sleep(SESSION_MS)])).toBe("left");
  });
});

const silent = { debug() {}, info() {}, warn() {}, error() {} };

function logTo(lines: string[]) {
  const write = (fields: object, text: string) => void lines.push(`${text} ${JSON.stringify(fields)}`);
  return { debug: write, info: write, warn: write, error: write };
}

function connection(hosts: string) {
  return { hosts, chroot, sessionMs: SESSION_MS };
}

async function openDirectory(hosts: string, lines: string[] = []): Promise<Directory> {
  return closed(await openZooKeeperDirectory(connection(hosts), logTo(lines)));
}

function openRegistrar(hosts: string, lines: string[] = []): Registrar {
  const registrar = openZooKeeperRegistrar(connection(hosts), logTo(lines));
  opened.push({ close: () => registrar.leave() });
  return registrar;
}

/** Once the first server is listed: the hosts at that moment, and then after each change. */
async function watchServers(directory: Directory): Promise<() => string[][]> {
  await until("a server is listed", () => directory.servers().length > 0);
  const hosts = () => directory.servers().map((server) => server.host);
  const seen = [hosts()];
  directory.watch(() => seen.push(hosts()));
  return () => seen;
}

async function startRegistered(bootId: string): Promise<RunningProcess> {
  const command = ["bun", REGISTERED, `zookeeper://${shared.host}${chroot}`, String(SESSION_MS), bootId];
  const process = new RunningProcess(command);
  opened.push({ close: () => process.kill() });
  await process.printed("registered");
  return process;
}

async function connectClient(hosts: string, changed: () => void = () => undefined): Promise<ZooKeeperClient> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const nothing = () => undefined;
  const events = { connected: resolve, disconnected: nothing, expired: nothing, heard: nothing, changed };
  const client = new ZooKeeperClient(hosts, 10 * SESSION_MS, events);
  await promise;
  return client;
}

function closed<T extends { close(): PromiseLike<unknown> }>(resource: T): T {
  opened.push(resource);
  return resource;
}

function disposed<T extends AsyncDisposable>(resource: T): T {
  opened.push({ close: () => resource[Symbol.asyncDispose]() });
  return resource;
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
