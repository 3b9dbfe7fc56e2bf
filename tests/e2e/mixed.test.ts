/** CIM v2 servers beside ours, under a route of ours: separate processes and a real ZooKeeper. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { CimV2Client } from "../support/cim-v2-client.ts";
import { CimV2Route } from "../support/cim-v2-route.ts";
import { CimV2Server } from "../support/cim-v2-server.ts";
import { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import { startZooKeeper, type ZooKeeper, zookeeperMissing } from "../support/zookeeper.ts";

setDefaultTimeout(60_000);

const LEASE_MS = 2000;
const SECOND_MS = 1000;

/** A route and a server of ours, and a CIM v2 server. */
class Mixed {
  #extras = 0;

  private constructor(
    readonly zookeeper: ZooKeeper,
    readonly system: System,
    readonly v2: CimV2Server,
  ) {}

  static async start(): Promise<Mixed> {
    const zookeeper = await startZooKeeper();
    const env = {
      CIM_AUTH: "open",
      CIM_REGISTRY: `zookeeper://${zookeeper.host}/im`,
      CIM_LEASE_SECONDS: String(LEASE_MS / SECOND_MS),
    };
    const system = await System.start({ servers: 1, env });
    const v2 = await CimV2Server.prepare(zookeeper.host, "/im", LEASE_MS, system.routeUrl);
    const mixed = new Mixed(zookeeper, system, v2);
    await v2.start();
    await until("the route knows both servers", async () => (await mixed.#anyone()) === v2.port);
    return mixed;
  }

  get routeUrl(): string {
    return this.system.routeUrl;
  }

  /** A client whose login the route gave the server on this port. */
  async clientOn(port: number, userName: string): Promise<CimV2Client> {
    const client = await CimV2Client.register(this.routeUrl, userName);
    await this.login(client, port);
    return client;
  }

  async login(client: CimV2Client, port: number): Promise<void> {
    // Servers take turns: after a login on the other one it is this one's.
    await until("it is the other server's turn", async () => (await this.#anyone()) !== port);
    await client.login();
    expect(client.serverPort).toBe(port);
  }

  onOurs(userName: string): Promise<CimV2Client> {
    return this.clientOn(this.system.serverPort, userName);
  }

  onV2(userName: string): Promise<CimV2Client> {
    return this.clientOn(this.v2.port, userName);
  }

  async online(): Promise<number[]> {
    const { dataBody } = await (await CimV2Client.register(this.routeUrl, "who asks")).onlineUsers();
    return dataBody.map(({ userId }) => userId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.v2.kill();
    await this.system.end();
    await this.zookeeper[Symbol.asyncDispose]();
  }

  /** Where somebody's login went, who is gone again. */
  async #anyone(): Promise<number> {
    const client = await CimV2Client.start(this.routeUrl, `somebody ${++this.#extras}`);
    await client.close();
    return client.serverPort;
  }
}

describe.skipIf(zookeeperMissing !== null)(zookeeperMissing ?? "with CIM v2 servers", () => {
  let mixed: Mixed;
  beforeAll(async () => {
    mixed = await Mixed.start();
  });
  afterAll(async () => {
    const faults = mixed?.v2.faults;
    await mixed?.[Symbol.asyncDispose]();
    expect(faults).toEqual([]);
  });

  test("private messages and batches go from one kind of server to the other, live and in order", async () => {
    await using ann = await mixed.onOurs("ann");
    await using bob = await mixed.onV2("bob");
    const codes = [
      (await ann.sendP2P(bob.userId, "你好")).code,
      (await ann.sendBatch(bob.userId, ["1", "2", "3"])).code,
      (await bob.sendP2P(ann.userId, "hello")).code,
      (await bob.sendBatch(ann.userId, ["a", "b"])).code,
    ];
    expect([codes, await bob.texts(4), await ann.texts(3)]).toEqual([
      ["9000", "9000", "9000", "9000"],
      ["你好", "1", "2", "3"],
      ["hello", "a", "b"],
    ]);
    expect(bob.received[0]).toEqual({
      text: "你好",
      sendUserId: String(ann.userId),
      sendUserName: "ann",
      offline: false,
    });
  });

  test("many senders at once: each one's messages arrive once and in order", async () => {
    await using bob = await mixed.onV2("bob of many");
    const senders = await Promise.all(
      Array.from({ length: 5 }, (_, i) => CimV2Client.register(mixed.routeUrl, `sender ${i}`)),
    );
    await Promise.all(
      senders.map(async (sender) => {
        for (let i = 0; i < 10; i++) await sender.sendP2P(bob.userId, `${i}`);
      }),
    );
    await bob.texts(50);
    await sameAgain(bob);
    const of = (id: number) => bob.received.filter(({ sendUserId }) => sendUserId === String(id));
    const digits = Array.from({ length: 10 }, (_, i) => `${i}`);
    expect(senders.map(({ userId }) => of(userId).map(({ text }) => text))).toEqual(
      senders.map(() => digits),
    );
  });

  test("a group message reaches everyone on both, but not its sender", async () => {
    await using ann = await mixed.onOurs("ann of the group");
    await using bob = await mixed.onV2("bob of the group");
    await using cat = await mixed.onV2("cat of the group");
    await using dan = await mixed.onOurs("dan of the group");
    await ann.sendGroup("from ours");
    await cat.sendGroup("from theirs");
    expect({
      ann: await ann.texts(1),
      bob: await bob.texts(2),
      cat: await cat.texts(1),
      dan: await dan.texts(2),
    }).toEqual({
      ann: ["from theirs"],
      bob: ["from ours", "from theirs"],
      cat: ["from ours"],
      dan: ["from ours", "from theirs"],
    });
  });

  test("what was kept comes when it is fetched, by each sender's name, once however often it is asked for", async () => {
    await using ann = await mixed.onOurs("ann keeps");
    await using cat = await mixed.onV2("cat keeps");
    const bob = await CimV2Client.register(mixed.routeUrl, "bob is kept for");
    const answers = [await ann.sendBatch(bob.userId, ["a1", "a2"]), await cat.sendP2P(bob.userId, "c1")];
    expect(answers.map(({ code }) => code)).toEqual(["7000", "7000"]);
    await mixed.login(bob, mixed.v2.port);
    await Promise.all([bob.fetchOfflineMsgs(), bob.fetchOfflineMsgs()]);
    await bob.texts(3);
    await bob.fetchOfflineMsgs();
    await ann.sendP2P(bob.userId, "live");
    await bob.texts(4);
    await bob.close();
    const from = (client: CimV2Client, text: string, offline: boolean) => ({
      text,
      sendUserId: String(client.userId),
      sendUserName: client.userName,
      offline,
    });
    expect(bob.received).toEqual([
      from(ann, "a1", true),
      from(ann, "a2", true),
      from(cat, "c1", true),
      from(ann, "live", false),
    ]);
  });

  test("a second login is answered 5000, and who logs off is offline and logs in again at once", async () => {
    const bob = await mixed.onV2("bob twice");
    const before = [(await bob.claim()).code, (await mixed.online()).includes(bob.userId)];
    await bob.close();
    const after = (await mixed.online()).includes(bob.userId);
    await bob.login();
    expect([before, after]).toEqual([["5000", true], false]);
    await bob.close();
  });

  test("fault 5: a late word from a CIM v2 server changes nothing of the session that is on ours by now", async () => {
    await using ann = await mixed.onOurs("ann waits");
    await using bob = await mixed.onV2("bob moves");
    // It stands still while its client goes: what it has to say of that comes late.
    mixed.v2.pause();
    await bob.vanish();
    await bob.offLine();
    await bob.loginAgain();
    mixed.v2.resume();
    await until("the old server tells that bob is gone", () => mixed.v2.toldOffLine.includes(bob.userId));
    const { code } = await ann.sendP2P(bob.userId, "still there");
    expect([bob.serverPort, code, await bob.texts(1), (await mixed.online()).includes(bob.userId)]).toEqual([
      mixed.system.serverPort,
      "9000",
      ["still there"],
      true,
    ]);
  });
});

describe.skipIf(zookeeperMissing !== null)(zookeeperMissing ?? "a CIM v2 server", () => {
  test("that hangs holds nobody else up, and its users get once what was said meanwhile", async () => {
    await using mixed = await Mixed.start();
    await using ann = await mixed.onOurs("ann");
    await using bob = await mixed.onV2("bob");
    await using cat = await mixed.onOurs("cat");
    await ann.sendP2P(bob.userId, "1");
    await bob.texts(1);
    mixed.v2.pause();
    const codes = [(await ann.sendGroup("2")).code, (await ann.sendP2P(cat.userId, "3")).code];
    expect([codes, await cat.texts(2)]).toEqual([
      ["9000", "9000"],
      ["2", "3"],
    ]);
    mixed.v2.resume();
    await bob.texts(2);
    await ann.sendP2P(bob.userId, "4");
    expect(await bob.texts(3)).toEqual(["1", "2", "4"]);
  });

  test("that is killed loses nothing and locks nobody out", async () => {
    await using mixed = await Mixed.start();
    await using ann = await mixed.onOurs("ann");
    const bob = await mixed.onV2("bob");
    await ann.sendP2P(bob.userId, "before");
    await bob.texts(1);
    await mixed.v2.kill();
    await bob.ended();
    await ann.sendP2P(bob.userId, "1");
    await ann.sendGroup("to all");
    await bob.loginAgain(LEASE_MS + SECOND_MS);
    await bob.fetchOfflineMsgs();
    await ann.sendP2P(bob.userId, "2");
    await until("bob has the last", () => bob.received.some(({ text }) => text === "2"));
    await bob.close();
    // What it was killed over before it answered comes again: nobody can tell that bob has it.
    expect([bob.serverPort, [...new Set(bob.received.map(({ text }) => text))].toSorted()]).toEqual([
      mixed.system.serverPort,
      ["1", "2", "before", "to all"],
    ]);
  });

  test("that was started again has none of the users it had: they are offline, and log in at once", async () => {
    await using mixed = await Mixed.start();
    await using ann = await mixed.onOurs("ann");
    const bob = await mixed.onV2("bob");
    await mixed.v2.kill();
    await until(
      "its node is gone",
      async () => !(await mixed.zookeeper.ask("dump")).includes(`:${mixed.v2.port}:`),
    );
    await mixed.v2.start();
    await until("the route sends logins there", async () => {
      const client = await CimV2Client.start(mixed.routeUrl, crypto.randomUUID());
      return client.serverPort === mixed.v2.port;
    });
    const { code } = await ann.sendP2P(bob.userId, "kept");
    await bob.login();
    await bob.fetchOfflineMsgs();
    expect([code, await bob.texts(1)]).toEqual(["7000", ["kept"]]);
    await bob.close();
  });
});

describe.skipIf(zookeeperMissing !== null)(zookeeperMissing ?? "under a CIM v2 route", () => {
  test("our server takes logins and pushes, tells who went, and goes over to a route of ours without a reconnect", async () => {
    await using zookeeper = await startZooKeeper();
    const servers = async () =>
      Array.from((await zookeeper.ask("dump")).matchAll(/\/im\/cim\/(\S+)/g), ([, name]) => name!);
    await using system = await System.prepare({
      servers: 1,
      env: {
        CIM_AUTH: "open",
        CIM_REGISTRY: `zookeeper://${zookeeper.host}/im`,
        CIM_LEASE_SECONDS: String(LEASE_MS / SECOND_MS),
      },
    });
    const route = new CimV2Route(servers, Number(new URL(system.routeUrl).port));
    const [server] = system.servers as [(typeof system.servers)[0]];
    server.health.splice(1);
    await server.start();
    await server.process.printed(/WARNING +the route is one of CIM v2: whoever logs in is believed/);

    const ann = await CimV2Client.start(route.url, "ann");
    const bob = await CimV2Client.start(route.url, "bob");
    const codes = [
      (await ann.sendP2P(bob.userId, "hello")).code,
      (await ann.sendGroup("all")).code,
      (await bob.claim()).code,
    ];
    expect([codes, await bob.texts(2), route.toldOffLine]).toEqual([
      ["9000", "9000", "5000"],
      ["hello", "all"],
      [],
    ]);
    await bob.vanish();
    await until("the route is told", () => route.toldOffLine.includes(bob.userId));
    expect((await ann.sendP2P(bob.userId, "kept")).code).toBe("7000");
    await bob.login();
    await bob.fetchOfflineMsgs();
    expect(await bob.texts(3)).toEqual(["hello", "all", "kept"]);

    await route[Symbol.asyncDispose]();
    await system.route.start();
    // It gives the ids that the other one gave.
    for (const { userName } of [ann, bob]) await CimV2Client.register(system.routeUrl, userName);
    await until("both are online here", async () => (await ann.onlineUsers()).dataBody.length === 2);
    expect([(await ann.sendP2P(bob.userId, "over")).code, await bob.texts(4)]).toEqual([
      "9000",
      ["hello", "all", "kept", "over"],
    ]);
    await Promise.all([ann.close(), bob.close()]);
  });
});

/** A fetch, and a pong behind it: whatever was to come twice has come. */
async function sameAgain(client: CimV2Client): Promise<void> {
  const before = client.received.length;
  await client.fetchOfflineMsgs();
  await client.ping();
  expect(client.received.length).toBe(before);
}
