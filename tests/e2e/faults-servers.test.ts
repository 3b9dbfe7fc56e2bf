/** What a dead, hanging or late server does to others in CIM v2: its faults 2–5, 15 and 17 (tests/README.md). */
import { expect, setDefaultTimeout, test } from "bun:test";
import { CimV2Client } from "../support/cim-v2-client.ts";
import { PROCESS_TEST_MS } from "../support/process.ts";
import { System } from "../support/system.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const OPEN = { CIM_AUTH: "open" };

test("fault 3: a login that finds no server leaves nothing in the way of the next", async () => {
  await using system = await System.prepare({ servers: 1, env: OPEN });
  await system.route.start();
  const ann = await CimV2Client.register(system.routeUrl, "ann");
  expect([(await ann.claim()).code, (await ann.claim()).code]).toEqual(["7100", "7100"]);
  await system.servers[0]!.start();
  await ann.login();
  expect((await ann.onlineUsers()).dataBody).toEqual([{ userId: ann.userId, userName: "ann" }]);
  await ann.close();
});

for (const pick of ["round-robin", "random"]) {
  test(`faults 4 and 17: with a dead server still in the list, every ${pick} login ends on one that answers, and is reached there`, async () => {
    // The lease outlives the test: the dead server stays listed.
    await using system = await System.start({
      servers: 2,
      env: { ...OPEN, CIM_PICK: pick, CIM_LEASE_SECONDS: "60" },
    });
    await system.servers[0]!.kill();
    const names = ["a", "b", "c", "d", "e", "f"];
    const clients = await Promise.all(names.map((name) => CimV2Client.start(system.routeUrl, name)));
    const [first, ...others] = clients as [CimV2Client, ...CimV2Client[]];
    for (const other of others) expect((await first.sendP2P(other.userId, "hello")).code).toBe("9000");
    expect(await Promise.all(others.map((other) => other.texts(1)))).toEqual(others.map(() => ["hello"]));
    await Promise.all(clients.map((client) => client.close()));
  });
}

test("fault 2: a server that hangs, then dies, holds nobody else up, and its users miss nothing", async () => {
  await using system = await System.start({ servers: 2, env: { ...OPEN, CIM_LEASE_SECONDS: "2" } });
  const bob = await CimV2Client.start(system.routeUrl, "bob");
  const ann = await startOn(system, other(system, bob), "ann");
  const cat = await startOn(system, other(system, bob), "cat");
  const hanging = system.servers[indexOf(system, bob)]!;
  hanging.process.signal("SIGSTOP");
  expect((await ann.sendGroup("to everyone")).code).toBe("9000");
  expect((await ann.sendP2P(bob.userId, "to bob")).code).toBeOneOf(["9000", "7000"]);
  // The other server's user has it while the first one still hangs.
  expect(await cat.texts(1)).toEqual(["to everyone"]);
  await hanging.kill();
  expect((await ann.sendP2P(bob.userId, "to bob, again")).code).toBeOneOf(["9000", "7000"]);
  await bob.loginAgain();
  await bob.fetchOfflineMsgs();
  expect((await bob.texts(3)).toSorted()).toEqual(["to bob", "to bob, again", "to everyone"]);
  await Promise.all([ann, bob, cat].map((client) => client.close()));
});

test("fault 5: a late word from the old server about an ended session changes nothing of the newer one", async () => {
  await using system = await System.start({ servers: 2, env: { ...OPEN, CIM_LEASE_SECONDS: "1" } });
  const bob = await CimV2Client.start(system.routeUrl, "bob");
  const oldIndex = indexOf(system, bob);
  const late = system.servers[oldIndex]!;
  late.process.signal("SIGSTOP");
  await bob.vanish();
  await bob.loginAgain();
  expect(indexOf(system, bob)).toBe(1 - oldIndex);
  late.process.signal("SIGCONT");
  // Once the old server's word about a later guest has arrived, so has that about bob.
  const guest = await startOn(system, oldIndex, "guest");
  await guest.vanish();
  await until("the guest is offline", async () => {
    const { dataBody } = await bob.onlineUsers();
    return dataBody.every((user) => user.userId !== guest.userId);
  });
  const ann = await CimV2Client.start(system.routeUrl, "ann");
  expect((await ann.sendP2P(bob.userId, "still there?")).code).toBe("9000");
  expect(await bob.texts(1)).toEqual(["still there?"]);
  await Promise.all([ann, bob].map((client) => client.close()));
});

test("fault 15: while the route hangs, a server goes on serving its connections", async () => {
  await using system = await System.start({ servers: 1, env: OPEN });
  const clients = await Promise.all(["a", "b", "c"].map((name) => CimV2Client.start(system.routeUrl, name)));
  system.route.process.signal("SIGSTOP");
  await clients[0]!.vanish();
  await Promise.all(clients.slice(1).map((client) => client.ping()));
  system.route.process.signal("SIGCONT");
  await until("the end of the first is noticed", async () => {
    const { dataBody } = await clients[1]!.onlineUsers();
    return dataBody.map((user) => user.userName).join() === "b,c";
  });
  await Promise.all(clients.map((client) => client.close()));
});

/** Which server it is connected to. */
function indexOf(system: System, client: CimV2Client): number {
  return system.serverPorts.findIndex((ports) => ports.tcp === client.serverPort);
}

function other(system: System, client: CimV2Client): number {
  return 1 - indexOf(system, client);
}

/** Starts a client on a given server: round robin comes to it after a few that are sent away again. */
function startOn(system: System, index: number, userName: string): Promise<CimV2Client> {
  return until(`${userName} is given server ${index}`, async () => {
    const client = await CimV2Client.start(system.routeUrl, userName);
    if (indexOf(system, client) === index) return client;
    await client.close();
    return null;
  });
}
