/** What is promised of messages holds whichever process is killed, under load. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join as path } from "node:path";
import type { Client } from "../../client/sdk/client.ts";
import { inOrder, join, Load, PASSWORD, Reader } from "../support/chat.ts";
import { PROCESS_TEST_MS, RunningProcess } from "../support/process.ts";
import { received } from "../support/received.ts";
import { System, type SystemOptions } from "../support/system.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const ENV = { CIM_MAX_MESSAGES_PER_SECOND: "100000", CIM_LOG: "silent" };
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

for (const [name, servers, hit] of [
  ["everything in one process", undefined, (system: System) => system.route],
  ["the route", 1, (system: System) => system.route],
  ["the only server", 1, (system: System) => system.servers[0]!],
] as const) {
  test(`${name} killed under load and started again: what was accepted reaches everyone once, in order`, async () => {
    const system = await started({ servers, env: ENV });
    const readers = await Promise.all(["r1", "r2"].map((user) => reader(system, user)));
    const loads = await Promise.all(["s1", "s2", "s3"].map((user) => load(system, user, "all")));
    await readers[0]!.count(300);
    for (let round = 1; round <= 2; round++) {
      await hit(system).kill();
      await hit(system).start();
      const before = readers[0]!.messages.length;
      await readers[0]!.count(before + 300, 20_000);
    }
    await Promise.all(loads.map((one) => one.stop()));
    expect(loads.flatMap((one) => one.refused)).toEqual([]);
    await expectAll(readers, loads);
  });
}

test("a server stopped under load hands its clients to another: exit code 0, and nothing is lost or doubled", async () => {
  const system = await started({ servers: 2, env: ENV });
  const readers = await Promise.all(["r1", "r2", "r3", "r4"].map((user) => reader(system, user)));
  const loads = await Promise.all(["s1", "s2"].map((user) => load(system, user, "all")));
  await readers[0]!.count(300);
  expect(await system.servers[0]!.stop()).toBe(0);
  const before = readers[0]!.messages.length;
  await readers[0]!.count(before + 300);
  await Promise.all(loads.map((one) => one.stop()));
  expect(loads.flatMap((one) => one.refused)).toEqual([]);
  await expectAll(readers, loads);
  expect(readers.map(({ client }) => client.server.port)).toEqual(
    readers.map(() => system.serverPorts[1]!.tcp),
  );
});

test("a client killed while messages are sent to it has, started again, everything once and in order", async () => {
  const system = await started({ env: ENV });
  const file = path(system.dataDir, "received.jsonl");
  const receiver = () => {
    const program = ["bun", path(import.meta.dir, "../support/receiver.ts")];
    const running = new RunningProcess([...program, system.routeUrl, "bob", PASSWORD, file]);
    cleanups.push(() => running.kill());
    return running;
  };
  let bob = receiver();
  await bob.printed("ready");
  const ann = await member(system, "ann");
  const bobsId = (await ann.findUser("bob"))!.userId;
  const conversation = `p2p:${Math.min(ann.userId, bobsId)}:${Math.max(ann.userId, bobsId)}`;
  const loads = [new Load(ann, conversation), new Load(ann, "all")];
  for (let round = 1; round <= 3; round++) {
    const before = received(file).length;
    await until("it has received some", () => received(file).length > before + 200);
    await bob.kill();
    const sent = ann.pending + loads[0]!.accepted.size;
    await until("more is sent to it", () => loads[0]!.accepted.size > sent + 100);
    bob = receiver();
    await bob.printed("ready");
  }
  await Promise.all(loads.map((one) => one.stop()));
  for (const [i, name] of [conversation, "all"].entries()) {
    const wanted = inOrder([loads[i]!]);
    const got = () => received(file).filter((line) => line.conversation === name);
    await until(`all of ${name} is received`, () => got().length >= wanted.length);
    expect(got().map(({ seq, text }) => ({ seq, text }))).toEqual(wanted);
  }
});

test("the users of a killed server are offline, and can log in anew, within its lease and a second", async () => {
  const leaseSeconds = 2;
  const system = await started({ servers: 2, env: { ...ENV, CIM_LEASE_SECONDS: String(leaseSeconds) } });
  const stays = await member(system, "stays");
  const names = ["a", "b", "c", "d"];
  const others = await Promise.all(names.map((user) => member(system, user, { backoff: () => 60_000 })));
  const dead = system.serverPorts.findIndex((ports) => ports.tcp !== stays.server.port);
  const gone = others.filter((client) => client.server.port !== stays.server.port);
  expect(gone.length).toBeGreaterThanOrEqual(2);
  await system.servers[dead]!.kill();
  const promised = (leaseSeconds + 1) * 1000;
  const isOnline = async (userName: string) => (await online(stays)).includes(userName);
  await Promise.all([
    until("the first one's new login", () => member(system, gone[0]!.userName), promised),
    until("the second one is offline", async () => !(await isOnline(gone[1]!.userName)), promised),
  ]);
  await until("the first one is online", () => isOnline(gone[0]!.userName));
});

test("a device whose server was killed takes its session to another at once, long before the lease is over", async () => {
  const system = await started({ servers: 2, env: { ...ENV, CIM_LEASE_SECONDS: "600" } });
  const readers = await Promise.all(["a", "b", "c", "d"].map((user) => reader(system, user)));
  await system.servers[0]!.kill();
  const survivor = system.serverPorts[1]!.tcp;
  await until("all are on the other server", () =>
    readers.every(({ client }) => client.state === "Ready" && client.server.port === survivor),
  );
  const sender = readers[0]!.client;
  await sender.sendAll("still here");
  expect(await Promise.all(readers.slice(1).map((one) => one.count(1)))).toEqual(
    readers.slice(1).map(() => ["still here"]),
  );
});

async function started(options: SystemOptions): Promise<System> {
  const system = await System.start(options);
  cleanups.push(() => system.end());
  return system;
}

async function member(system: System, userName: string, options = {}): Promise<Client> {
  const client = await join(system, userName, options);
  cleanups.push(() => client.detach());
  return client;
}

async function reader(system: System, userName: string): Promise<Reader> {
  return new Reader(await member(system, userName));
}

async function load(system: System, userName: string, conversation: string): Promise<Load> {
  return new Load(await member(system, userName), conversation);
}

/** Everyone has read all that was accepted, by seq, and nothing else. */
async function expectAll(readers: readonly Reader[], loads: readonly Load[]): Promise<void> {
  const wanted = inOrder(loads);
  expect(wanted.map(({ seq }) => seq)).toEqual(wanted.map((_, i) => i + 1));
  for (const one of readers) {
    await one.count(wanted.length);
    expect(one.messages.map(({ seq, text }) => ({ seq, text }))).toEqual(wanted as never);
  }
}

async function online(client: Client): Promise<string[]> {
  const names: string[] = [];
  for await (const user of client.onlineUsers()) names.push(user.userName);
  return names;
}
