/** What CIM v2's client gets wrong: its faults 6, 12, 13, 18, 23 and 24 (tests/README.md), on the SDK over real processes. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { dirname, join as path } from "node:path";
import { type Client, type ConnectOptions, connect } from "../../client/sdk/client.ts";
import { join, PASSWORD, Reader } from "../support/chat.ts";
import { CimV2Client } from "../support/cim-v2-client.ts";
import { freePorts } from "../support/ports.ts";
import { PROCESS_TEST_MS, RunningProcess } from "../support/process.ts";
import { received } from "../support/received.ts";
import { System, type SystemOptions } from "../support/system.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const FAST = { CIM_MAX_MESSAGES_PER_SECOND: "100000" };
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test("faults 6 and 12: a client that is not reading while the server is away gets all of it afterwards, private and group", async () => {
  const system = await started({ servers: 2, env: FAST });
  const ann = await member(system, "ann");
  const bob = await member(system, "bob");
  const reader = new Reader(bob);
  for (const round of [1, 2, 3]) {
    const index = system.serverPorts.findIndex((ports) => ports.tcp === bob.server.port);
    await system.servers[index]!.kill();
    await ann.sendTo(bob.userId, `private ${round}`);
    await ann.sendAll(`to all ${round}`);
    await system.servers[index]!.start();
    await reader.count(2 * round);
  }
  const of = (kind: string) => reader.texts.filter((text) => text.startsWith(kind));
  expect([of("private"), of("to all")]).toEqual([
    ["private 1", "private 2", "private 3"],
    ["to all 1", "to all 2", "to all 3"],
  ]);
});

test("fault 13: an application that reads slowly gets all, in order, while others are served", async () => {
  const system = await started({ env: FAST });
  const ann = await member(system, "ann");
  const bob = await member(system, "bob", { maxUnread: 50 });
  const cat = new Reader(await member(system, "cat"));
  const texts = Array.from({ length: 3000 }, (_, i) => `message ${i}`);
  await Promise.all(texts.map((text) => ann.sendAll(text)));
  await cat.count(texts.length);
  // Only now does bob read.
  const bobs = new Reader(bob);
  expect(await bobs.count(texts.length, 30_000)).toEqual(texts);
});

test("fault 18: a client whose whole process stands still holds nobody up, and reads on when it goes on", async () => {
  const system = await started({ env: FAST });
  const file = path(system.dataDir, "received.jsonl");
  const program = path(dirname(import.meta.dir), "support/receiver.ts");
  const bob = new RunningProcess(["bun", program, system.routeUrl, "bob", PASSWORD, file]);
  cleanups.push(() => bob.kill());
  await bob.printed("ready");
  const ann = await member(system, "ann");
  const cat = new Reader(await member(system, "cat"));
  bob.signal("SIGSTOP");
  const texts = Array.from({ length: 400 }, (_, i) => `${i} ${"x".repeat(40_000)}`);
  await Promise.all(texts.map((text) => ann.sendAll(text)));
  await cat.count(texts.length);
  bob.signal("SIGCONT");
  await until("bob has it all", () => received(file).length >= texts.length, 30_000);
  expect(received(file).map(({ seq, text }) => `${seq}: ${text.length}`)).toEqual(
    texts.map((text, i) => `${i + 1}: ${text.length}`),
  );
});

test("fault 23: a login that finds nobody is tried as often as it was told, and then says why", async () => {
  const [port] = await freePorts(1);
  let calls = 0;
  const options: ConnectOptions = {
    routeUrl: `http://127.0.0.1:${port}`,
    userName: "ann",
    password: PASSWORD,
    loginAttempts: 3,
    backoff: () => 1,
    fetch: (request) => {
      calls++;
      return fetch(request);
    },
  };
  await expect(connect(options)).rejects.toThrow(`127.0.0.1:${port}`);
  expect(calls).toBe(3);
});

test("fault 23: a wrong password is not tried again", async () => {
  const system = await started();
  await member(system, "ann");
  let logins = 0;
  const counting = (request: Request) => {
    if (new URL(request.url).pathname === "/login") logins++;
    return fetch(request);
  };
  const wrong = { password: "not her password", register: false, fetch: counting };
  await expect(join(system, "ann", wrong)).rejects.toMatchObject({ code: "9100" });
  expect(logins).toBe(1);
});

test("fault 23: who closed does not log in again, and is offline at once", async () => {
  const system = await started();
  let logins = 0;
  const ann = await member(system, "ann", {
    fetch: (request: Request) => {
      if (new URL(request.url).pathname === "/login") logins++;
      return fetch(request);
    },
  });
  const bob = await member(system, "bob");
  const before = logins;
  await ann.close();
  await ann.close();
  expect([ann.state, (await ann.closed).reason, await online(bob)]).toEqual(["Closed", "closed", ["bob"]]);
  // A restart brings everybody back who means to come back.
  await system.route.kill();
  await system.route.start();
  await until("bob is back", async () => bob.state === "Ready" && (await online(bob)).includes("bob"));
  expect([logins, await online(bob)]).toEqual([before, ["bob"]]);
});

test("fault 23: clients in one process share nothing", async () => {
  const system = await started();
  const names = ["a", "b", "c", "d"];
  const clients = await Promise.all(names.map((name) => member(system, name)));
  const readers = clients.map((client) => new Reader(client));
  const [a, b] = clients as [Client, Client];
  await Promise.all(clients.slice(1).map((client) => a.sendTo(client.userId, `for ${client.userName}`)));
  expect(await Promise.all(readers.slice(1).map((reader) => reader.count(1)))).toEqual([
    ["for b"],
    ["for c"],
    ["for d"],
  ]);
  await a.close();
  await b.sendAll("a is gone");
  expect((await readers[2]!.count(2))[1]).toBe("a is gone");
  expect([readers[0]!.texts, clients.map((client) => client.state)]).toEqual([
    [],
    ["Closed", "Ready", "Ready", "Ready"],
  ]);
});

test("fault 24: a send says what became of the message", async () => {
  const system = await started({ servers: 1, env: { CIM_MAX_MESSAGES_PER_SECOND: "20" } });
  const ann = await member(system, "ann", { sendTimeoutMs: 2000 });
  const bob = await member(system, "bob");
  expect(await ann.sendTo(bob.userId, "hello")).toMatchObject({ seq: 1, receiverOnline: true });
  await bob.close();
  expect(await ann.sendTo(bob.userId, "are you there?")).toMatchObject({ seq: 2, receiverOnline: false });
  await expect(ann.sendTo(999_999, "nobody")).rejects.toMatchObject({
    code: "3000",
    message: expect.stringContaining("999999"),
  });
  await expect(ann.sendTo(bob.userId, "x".repeat(61_441))).rejects.toThrow("limit 61440");
  await expect(ann.sendTo(bob.userId, "")).rejects.toThrow("empty");
  await expect(ann.send("p2p:1:1000000", "not hers")).rejects.toMatchObject({ retry: false });
  // More than the rate allows waits, in order, and is accepted.
  const receipts = await Promise.all(Array.from({ length: 30 }, (_, i) => ann.sendTo(bob.userId, `${i}`)));
  expect(receipts.map((receipt) => receipt.seq)).toEqual(receipts.map((_, i) => i + 3));
  // Nobody there to accept it: an error in bounded time, and no word of success.
  system.route.process.signal("SIGSTOP");
  await expect(ann.sendTo(bob.userId, "into the void")).rejects.toThrow("2000 ms");
  system.route.process.signal("SIGCONT");
});

test("SDK and CIM v2 clients chat with one another in open mode", async () => {
  const system = await started({ env: { CIM_AUTH: "open" } });
  await using vera = await CimV2Client.start(system.routeUrl, "vera of v2");
  const ann = await member(system, "ann", { password: undefined });
  const anns = new Reader(ann);
  await vera.sendP2P(ann.userId, "from v2");
  await ann.sendTo(vera.userId, "from the SDK 你好");
  await ann.sendAll("to all");
  await vera.sendGroup("from v2 to all");
  expect([await anns.count(2), await vera.texts(2)]).toEqual([
    ["from v2", "from v2 to all"],
    ["from the SDK 你好", "to all"],
  ]);
});

async function started(options: SystemOptions = {}): Promise<System> {
  const system = await System.start(options);
  cleanups.push(() => system.end());
  return system;
}

async function member(
  system: System,
  userName: string,
  options: Partial<ConnectOptions> = {},
): Promise<Client> {
  const client = await join(system, userName, options);
  cleanups.push(() => client.detach());
  return client;
}

async function online(client: Client): Promise<string[]> {
  const names: string[] = [];
  for await (const user of client.onlineUsers()) names.push(user.userName);
  return names;
}
