/** Route and servers as processes of their own that know of each other through a real ZooKeeper. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { CimV2Client } from "../support/cim-v2-client.ts";
import { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import { prepareZooKeeper, startZooKeeper, type ZooKeeper, zookeeperMissing } from "../support/zookeeper.ts";

const LEASE_MS = 2000;
const SECOND_MS = 1000;
setDefaultTimeout(60 * SECOND_MS);

function settings(zookeeper: ZooKeeper) {
  return {
    CIM_AUTH: "open",
    CIM_REGISTRY: `zookeeper://${zookeeper.host}/im`,
    CIM_LEASE_SECONDS: String(LEASE_MS / SECOND_MS),
  };
}

describe.skipIf(zookeeperMissing !== null)(zookeeperMissing ?? "with a real ZooKeeper", () => {
  test("a killed server's user is offline, and can log in again, within the lease and a second", async () => {
    await using zookeeper = await startZooKeeper();
    await using system = await System.start({ servers: 2, env: settings(zookeeper) });
    const bob = await CimV2Client.start(system.routeUrl, "bob");
    const online = { userId: bob.userId, userName: "bob" };
    expect((await bob.onlineUsers()).dataBody).toEqual([online]);
    const index = system.serverPorts.findIndex(({ tcp }) => tcp === bob.serverPort);
    await system.servers[index]!.kill();
    await until(
      "bob is offline",
      async () => (await bob.onlineUsers()).dataBody.length === 0,
      LEASE_MS + SECOND_MS,
    );
    await bob.loginAgain();
    expect({ online: (await bob.onlineUsers()).dataBody, server: bob.serverPort }).toEqual({
      online: [online],
      server: system.serverPorts[1 - index]!.tcp,
    });
    await bob.close();
  });

  test("a server told to stop is gone from ZooKeeper before it ends", async () => {
    await using zookeeper = await startZooKeeper();
    await using system = await System.start({ servers: 1, env: settings(zookeeper) });
    const bob = await CimV2Client.register(system.routeUrl, "bob");
    expect(await system.servers[0]!.stop()).toBe(0);
    await until("the route has nobody to send a login to", async () => (await bob.claim()).code === "7100");
    // The node is no more, and so is the session: nothing has to expire.
    expect(await zookeeper.ask("dump")).not.toContain("/im/cim/");
  });

  test("without ZooKeeper route and server are up and say what is missing; both serve once it is there", async () => {
    await using zookeeper = await prepareZooKeeper();
    await using system = await System.prepare({ servers: 1, env: settings(zookeeper) });
    const [route, server] = [system.route, system.servers[0]!];
    server.health.splice(0, server.health.length, { url: system.serverUrl, status: [503] });
    await Promise.all([route.start(), server.start()]);
    const missing = `no answer from zookeeper ${zookeeper.host} in `;
    const healths = () =>
      Promise.all(
        [system.routeUrl, system.serverUrl].map(async (url) => {
          const response = await fetch(`${url}/health`);
          return [response.status, (await response.text()).includes(missing)];
        }),
      );
    expect(await healths()).toEqual([
      [503, true],
      [503, true],
    ]);
    await zookeeper.start();
    await until("both serve", async () => (await healths()).every(([status]) => status === 200));
    const bob = await CimV2Client.start(system.routeUrl, "bob");
    await bob.close();
  });
});
