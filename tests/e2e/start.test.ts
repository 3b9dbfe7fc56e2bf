/** Starting and stopping: what is wrong is said in one line, a stop drains, and a full disk hurts nothing. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CimV2Client } from "../support/cim-v2-client.ts";
import { PROCESS_TEST_MS, RunningProcess } from "../support/process.ts";
import { System } from "../support/system.ts";
import { Terminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe("a start that cannot succeed ends with 1 and one line:", () => {
  for (const variable of ["CIM_ROUTE_PORT", "CIM_SERVER_PORT", "CIM_SERVER_HTTP_PORT"]) {
    test(`${variable} that is taken`, async () => {
      const system = await prepare();
      const taken = system.route.env[variable]!;
      await occupy(Number(taken));
      await expectRefusal("start.ts", system.route.env, [variable, taken]);
    });
  }

  test("a data directory that is a file", async () => {
    const system = await prepare();
    const file = join(system.dataDir, "file");
    await writeFile(file, "");
    await expectRefusal("start.ts", { ...system.route.env, CIM_DATA: file }, ["CIM_DATA", file]);
  });

  test("a data directory that cannot be made", async () => {
    const { route } = await prepare();
    await expectRefusal("start.ts", { ...route.env, CIM_DATA: "/proc/cim" }, ["CIM_DATA", "/proc/cim"]);
  });

  test("a store that is no database", async () => {
    const system = await prepare();
    const file = join(system.dataDir, "cim.db");
    await writeFile(file, "this is a text of some length and not a database at all".repeat(100));
    await expectRefusal("start.ts", system.route.env, [file]);
  });

  for (const [variable, value] of [
    ["CIM_ROUTE_PORT", "abc"],
    ["CIM_SERVER_PORT", "65536"],
    ["CIM_AUTH", "none"],
    ["CIM_LEASE_SECONDS", "0"],
    ["CIM_ROUTE_URL", "localhost"],
    ["CIM_STORE", "mysql://x"],
  ] as const) {
    test(`${variable}=${value}`, async () => {
      const { route } = await prepare();
      await expectRefusal("start.ts", { ...route.env, [variable]: value }, [`${variable}=${value}`, "want"]);
    });
  }

  test("a secret that is too short, without showing it", async () => {
    const { route } = await prepare();
    const output = await expectRefusal("start.ts", { ...route.env, CIM_SECRET: "hunter2" }, ["CIM_SECRET"]);
    expect(output).not.toContain("hunter2");
  });

  test("a server of its own that has no secret in common with the route", async () => {
    const system = await prepare();
    await expectRefusal("server/main.ts", system.route.env, ["CIM_SECRET"]);
  });
});

describe("a stop", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`by ${signal} drains and ends with 0`, async () => {
      const system = await started({ env: { CIM_AUTH: "open" } });
      const ann = await CimV2Client.start(system.routeUrl, "ann");
      system.route.process.signal(signal);
      expect(await system.route.process.exited).toBe(0);
      await ann.ended();
    });
  }

  // It came as a second signal, too, which ends at once: nothing drained.
  test("by Ctrl-C under `bun run`, which passes on what the terminal has sent already, drains", async () => {
    const system = await prepare();
    const env = { ...system.route.env, CIM_AUTH: "open", PATH: process.env.PATH! };
    const terminal = await Terminal.open(["bash", "-c", "bun run start; echo ended with $?"], env);
    cleanups.push(() => terminal.close());
    await terminal.shows("CIM is ready");
    const ann = await CimV2Client.start(system.routeUrl, "ann");
    await terminal.press("C-c", true);
    await terminal.shows("ended with 0");
    await ann.ended();
  });

  test("of each role of its own ends with 0, while a client is connected", async () => {
    const system = await started({ servers: 1, env: { CIM_AUTH: "open" } });
    const ann = await CimV2Client.start(system.routeUrl, "ann");
    expect(await system.servers[0]!.stop()).toBe(0);
    await ann.ended();
    expect(await system.route.stop()).toBe(0);
  });

  test("of a server takes it off the list at once: nobody is sent there any more", async () => {
    const system = await started({ servers: 2, env: { CIM_AUTH: "open", CIM_LEASE_SECONDS: "600" } });
    expect(await system.servers[0]!.stop()).toBe(0);
    const metrics = await (await fetch(`${system.routeUrl}/metrics`)).text();
    expect(metrics).toContain("\ncim_route_servers 1\n");
    const clients = await Promise.all(
      ["a", "b", "c"].map((name) => CimV2Client.start(system.routeUrl, name)),
    );
    expect(clients.map((client) => client.serverPort)).toEqual(clients.map(() => system.serverPorts[1]!.tcp));
    await Promise.all(clients.map((client) => client.close()));
  });
});

test("a start that others reach, and whose server they would not, says so", async () => {
  const { route } = await prepare();
  const starts = [];
  const settings: Record<string, string>[] = [
    {},
    { CIM_HOST: "0.0.0.0" },
    { CIM_HOST: "0.0.0.0", CIM_ADVERTISE: "im.example.com" },
  ];
  for (const env of settings) {
    const started = new RunningProcess(["bun", "start.ts"], { env: { ...route.env, ...env } });
    cleanups.push(() => started.kill());
    await started.printed("chat ");
    starts.push(
      started.output.includes("clients on other machines are sent to 127.0.0.1: CIM_ADVERTISE wants"),
    );
    await started.stop();
  }
  expect(starts).toEqual([false, true, false]);
});

test("the secret that is made is readable by its owner alone, and is the same at the next start", async () => {
  const system = await started({});
  const file = join(system.dataDir, "secret");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const made = await Bun.file(file).text();
  await system.route.stop();
  await system.route.start();
  expect(await Bun.file(file).text()).toBe(made);
});

const isRoot = process.getuid?.() === 0;

// Mounting takes root.
test.skipIf(!isRoot)(
  "a full disk refuses with a reason, loses nothing, and is over when there is room",
  async () => {
    const disk = await mkdtemp(join(tmpdir(), "cim-disk-"));
    cleanups.push(() => rm(disk, { recursive: true }));
    await succeed(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk]);
    cleanups.push(() => succeed(["umount", disk]));
    await mkdir(join(disk, "data"));
    const system = await started({
      env: { CIM_AUTH: "open", CIM_DATA: join(disk, "data"), CIM_MAX_MESSAGES_PER_SECOND: "10000" },
    });
    const ann = await CimV2Client.start(system.routeUrl, "ann");
    const bob = await CimV2Client.register(system.routeUrl, "bob");
    const ballast = join(disk, "ballast");
    await writeFile(ballast, new Uint8Array(2 * 1024 * 1024));

    const accepted: string[] = [];
    const refusal = await until("the disk is full", async () => {
      const text = `${accepted.length} ${"x".repeat(50_000)}`;
      const answer = await ann.sendP2P(bob.userId, text);
      if (answer.code !== "7000") return answer;
      accepted.push(text);
      return null;
    });
    expect(refusal).toMatchObject({ code: "8000", message: expect.stringMatching(/full/) });

    await rm(ballast);
    await until(
      "it accepts again",
      async () => (await ann.sendP2P(bob.userId, "room again")).code === "7000",
    );
    await bob.login();
    await bob.fetchOfflineMsgs();
    // All that was accepted, in order, and nothing that was refused.
    expect(await bob.texts(accepted.length + 1)).toEqual([...accepted, "room again"]);
    await system.route.kill();
    await system.route.start();
    await ann.loginAgain();
    await bob.loginAgain();
    await ann.sendP2P(bob.userId, "after a restart");
    // What bob had just been given may come again: his acknowledgement may have been on its way when the process died.
    await until("bob gets it", () => bob.received.at(-1)?.text === "after a restart");
  },
);

async function prepare(): Promise<System> {
  const system = await System.prepare();
  cleanups.push(() => system.end());
  return system;
}

async function started(options: Parameters<typeof System.start>[0]): Promise<System> {
  const system = await System.start(options);
  cleanups.push(() => system.end());
  return system;
}

/** The start ends with 1 after one line that holds all of `words`; answers it. */
async function expectRefusal(
  entry: string,
  env: Record<string, string>,
  words: readonly string[],
): Promise<string> {
  const running = new RunningProcess(["bun", entry], { env });
  cleanups.push(() => running.kill());
  const code = await running.exited;
  await until("its output is read", () => running.output !== "");
  const lines = running.output.trim().split("\n");
  expect({ code, lines }).toEqual({ code: 1, lines: [expect.any(String)] });
  for (const word of words) expect(lines[0]).toContain(word);
  return lines[0]!;
}

async function occupy(port: number): Promise<Server> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer().listen(port, "127.0.0.1", resolve).once("error", reject);
  cleanups.push(() => server.close());
  await promise;
  return server;
}

async function succeed(command: string[]): Promise<void> {
  const run = Bun.spawn(command, { stderr: "pipe" });
  if ((await run.exited) !== 0)
    throw new Error(`${command.join(" ")}: ${await new Response(run.stderr).text()}`);
}
