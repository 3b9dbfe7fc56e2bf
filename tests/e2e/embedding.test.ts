import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "cim/client";
import { type Cim, createCim, type Settings } from "../../cim.ts";
import { RunningProcess } from "../support/process.ts";
import { until } from "../support/until.ts";

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

describe("the system inside a program", () => {
  test("runs several times in one process, each on its own", async () => {
    const [first, second] = [await open(), await open()];
    const alice = await client(first, "alice");
    const bob = await client(first, "bob");
    const stranger = await client(second, "alice");
    await alice.sendTo(bob.userId, "hello");
    await stranger.sendAll("is anyone there?");
    const message = (await bob.messages[Symbol.asyncIterator]().next()).value;
    expect({ text: message?.text, known: await stranger.findUser("bob") }).toEqual({
      text: "hello",
      known: null,
    });
  });

  test("stops, twice if told so, and leaves its ports free for the next", async () => {
    const first = await createCim();
    const ports = {
      CIM_ROUTE_PORT: Number(new URL(first.routeUrl).port),
      CIM_SERVER_PORT: first.server.port,
      CIM_SERVER_HTTP_PORT: first.server.httpPort,
    };
    await Promise.all([first.close(), first.close()]);
    const again = await open(ports);
    expect(again.routeUrl).toBe(first.routeUrl);
  });

  test("leaves nothing behind when it cannot start", async () => {
    const running = await open();
    const taken = { CIM_SERVER_PORT: running.server.port, CIM_ROUTE_PORT: 0 };
    await expect(createCim(taken)).rejects.toThrow(
      `CIM_SERVER_PORT=${running.server.port}: the port is taken`,
    );
    await expect(createCim({ CIM_PICK: "nearest" })).rejects.toThrow(/^CIM_PICK=nearest: want /);
  });
});

describe("the examples", () => {
  test("the bot answers who writes to it, also what was written while it was away", async () => {
    const cim = await open();
    const bot = example("bot.ts", cim);
    await bot.printed("echo is user");
    const alice = await client(cim, "alice");
    const echo = (await alice.findUser("echo"))!;
    const answers = alice.messages[Symbol.asyncIterator]();
    const answer = async () => (await answers.next()).value?.text;
    await alice.sendTo(echo.userId, "one");
    const first = await answer();
    await bot.kill();
    await until("it is offline", async () => !(await alice.sendTo(echo.userId, "two")).receiverOnline);
    example("bot.ts", cim);
    expect([first, await answer()]).toEqual(["alice, you said: one", "alice, you said: two"]);
  });

  test("the backend pushes with its key to one, to several and to everyone", async () => {
    const cim = await open();
    const [alice, bob] = [await client(cim, "alice"), await client(cim, "bob")];
    await example("backend.ts", cim, "your order was sent", "alice").printed("pushed to alice");
    await example("backend.ts", cim, "two of you", "alice", "bob").printed("pushed to alice, bob");
    await example("backend.ts", cim, "all of you").printed("pushed to everyone");
    expect([await texts(alice, 3), await texts(bob, 2)]).toEqual([
      ["your order was sent", "two of you", "all of you"],
      ["two of you", "all of you"],
    ]);
  });

  test("the device's readings arrive as the bytes they were", async () => {
    const cim = await open();
    const collector = await client(cim, "collector");
    const device = example("device.ts", cim, "collector", "3");
    await device.printed("reading 3 is stored as 3");
    const sizes: (number | undefined)[] = [];
    for await (const { data } of collector.messages) if (sizes.push(data?.length) === 3) break;
    expect({ sizes, exit: await device.exited }).toEqual({ sizes: [12, 12, 12], exit: 0 });
  });
});

const password = "correct horse";
const adminKey = "a-key-for-the-backend";

async function open(settings: Settings = {}): Promise<Cim> {
  const cim = await createCim({ CIM_ADMIN_KEY: adminKey, ...settings });
  opened.push(cim);
  return cim;
}

async function client({ routeUrl }: Cim, userName: string) {
  const one = await connect({ routeUrl, userName, password, register: true });
  opened.push(one);
  return one;
}

function example(name: string, cim: Cim, ...args: string[]): RunningProcess {
  const env = { CIM_PASSWORD: password, CIM_ADMIN_KEY: adminKey };
  const running = new RunningProcess(["bun", `examples/${name}`, cim.routeUrl, ...args], { env });
  opened.push({ close: () => running.kill() });
  return running;
}

async function texts(
  reader: Awaited<ReturnType<typeof client>>,
  count: number,
): Promise<(string | undefined)[]> {
  const seen: (string | undefined)[] = [];
  for await (const { text } of reader.messages) if (seen.push(text) === count) break;
  return seen;
}
