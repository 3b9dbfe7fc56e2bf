/** What `bun run build` makes: programs that need no other file, no Bun and no Node. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json" with { type: "json" };
import { freePorts } from "../support/ports.ts";
import { childrenOf, isRunning, PROCESS_TEST_MS, REPOSITORY, RunningProcess } from "../support/process.ts";
import { Terminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const PROGRAMS = ["cim", "cim-route", "cim-server", "cim-client"];

/** Where the programs stand, with nothing beside them. */
let bare: string;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  const build = new RunningProcess(["bun", "run", "build"]);
  expect([await build.exited, build.output]).toEqual([0, expect.any(String)]);
  bare = await mkdtemp(join(tmpdir(), "cim-bare-"));
  await Promise.all(PROGRAMS.map((name) => copyFile(join(REPOSITORY, "dist", name), join(bare, name))));
});
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  if (bare) await rm(bare, { recursive: true });
});

for (const program of PROGRAMS) {
  test(`${program} says its version, what it takes, and which flag it does not know`, async () => {
    const [versionRun, help, unknown] = await Promise.all(
      ["--version", "--help", "--no-such-flag"].map(async (flag) => {
        const run = start(program, [flag]);
        const code = await run.exited;
        await until("its output is read", () => run.output !== "");
        return { code, output: run.output.trim() };
      }),
    );
    expect(versionRun).toEqual({ code: 0, output: `${program} ${version}` });
    expect(help).toEqual({ code: 0, output: expect.stringMatching(/^cim.*Usage: /s) });
    expect(unknown).toEqual({ code: 1, output: expect.stringMatching(/^cim[^\n]*--no-such-flag[^\n]*$/) });
  });
}

test("the roles run as programs of their own, and the documentation needs no network", async () => {
  const [routePort, tcp, http] = (await freePorts(3)) as [number, number, number];
  const routeUrl = `http://127.0.0.1:${routePort}`;
  const data = ["--data", join(bare, "roles")];
  const route = start("cim-route", [...data, "--route-port", String(routePort)]);
  await route.printed(routeUrl);
  const ports = ["--server-port", String(tcp), "--server-http-port", String(http)];
  const server = start("cim-server", [...data, "--route-url", routeUrl, ...ports]);
  await until("the server serves", async () => {
    return (await fetch(`http://127.0.0.1:${http}/health`)).status === 200;
  });
  const page = await (await fetch(`${routeUrl}/docs`)).text();
  expect(page).toContain("swagger");
  expect(page.match(/(src|href)="https?:/g)).toBeNull();
  // The chat's page was bundled into it.
  const files = await Promise.all(["", "page.js", "page.css"].map((name) => fetch(`${routeUrl}/${name}`)));
  expect(files.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(await files[1]!.text()).toContain("WebSocket");
  for (const [, path] of page.matchAll(/(?:src|href)="([^"]+)"/g)) {
    expect([path, (await fetch(new URL(path!, `${routeUrl}/docs`))).status]).toEqual([path, 200]);
  }
  expect([await server.stop(), await route.stop()]).toEqual([0, 0]);
});

for (const [program, ...words] of [["cim-server"], ["cim", "server"]] as const) {
  test(`${[program, ...words].join(" ")} runs as several workers, each the same program`, async () => {
    const flags = ["--data", join(bare, "workers"), "--secret", "0123456789abcdef", "--workers", "2"];
    const ports = ["--server-port", "0", "--server-http-port", "0"];
    const route = start("cim-route", [...flags.slice(0, 4), "--route-port", "0"]);
    const [routeUrl] = await route.printed(/http:[^\s]+/);
    const server = start(program, [...words, ...flags, ...ports, "--route-url", routeUrl]);
    await server.printed(/workers +2/);
    const workers = childrenOf(server.pid);
    expect([workers.length, await server.stop(), workers.filter(isRunning)]).toEqual([2, 0, []]);
    await route.stop();
  });
}

test("two people chat in two terminals, in English and Chinese; one is killed while messages come, and misses none", async () => {
  const [routePort, tcp, http] = (await freePorts(3)) as [number, number, number];
  const route = `http://127.0.0.1:${routePort}`;
  const flags = ["--route-port", routePort, "--server-port", tcp, "--server-http-port", http].map(String);
  const cim = start("cim", ["--data", join(bare, "data"), ...flags]);
  await cim.printed(`CIM is ready at ${route}`);

  const alice = await person("alice", route);
  const bob = await person("bob", route, "zh-CN");
  await alice.type("hello everyone");
  await bob.shows("hello everyone");
  await bob.type("alice;;你好，爱丽丝 👋");
  await alice.shows("你好，爱丽丝 👋");

  await alice.type("bob;;message 1");
  await bob.shows("message 1");
  await bob.kill();
  for (let i = 2; i <= 20; i++) await alice.type(i % 2 ? `bob;;message ${i}` : `message ${i}`);
  await alice.shows("message 20");

  const again = await person("bob", route, "zh-CN", true);
  await again.shows("message 19");
  await again.shows("message 20");
  const seen = (await again.screen()).match(/: message \d+$/gm)!.map((text) => text.slice(2));
  const missed = Array.from({ length: 19 }, (_, i) => `message ${i + 2}`);
  const [even, odd] = [0, 1].map((rest) => missed.filter((_, i) => i % 2 === rest));
  // Two conversations, each in order: what was said to everyone, and what was said to bob.
  expect(seen.filter((text) => even!.includes(text))).toEqual(even!);
  expect(seen.filter((text) => odd!.includes(text) && text !== "message 1")).toEqual(odd!);

  for (const terminal of [alice, again]) {
    await terminal.type(":q!");
    expect(await terminal.ended()).toBe(0);
  }
  expect(await cim.stop()).toBe(0);
});

test("what is typed stays whole while messages arrive, the terminal changes its size, and the server dies and is back", async () => {
  const [routePort, tcp, http] = (await freePorts(3)) as [number, number, number];
  const route = `http://127.0.0.1:${routePort}`;
  const flags = ["--route-port", routePort, "--server-port", tcp, "--server-http-port", http].map(String);
  const args = ["--data", join(bare, "typing"), ...flags];
  const cim = start("cim", args);
  await cim.printed(`CIM is ready at ${route}`);
  const carol = await person("carol", route);
  const dave = await person("dave", route);

  await carol.press("宽 👋 half");
  await carol.shows(/^> 宽 👋 half$/m);
  await dave.type("消息 one");
  await carol.shows(/消息 one\n(.*\n)*> 宽 👋 half\s*$/);
  await carol.resize(60, 20);
  await dave.type("消息 two");
  await carol.shows(/消息 two\n(.*\n)*> 宽 👋 half\s*$/);
  await carol.press(" a line");
  await carol.press("Enter", true);
  await dave.shows("宽 👋 half a line");
  await carol.press(":unde");
  await carol.press("Tab", true);
  await carol.shows(/^> :undelay/m);
  await carol.press("C-u", true);
  await carol.press("Da");
  await carol.press("Tab", true);
  await carol.shows(/^> dave;;\s*$/m);
  await carol.press("C-u", true);

  await cim.kill();
  await carol.shows("connection lost");
  await carol.type("said while it was dead");
  await carol.shows("sent as soon as there is a connection");
  const again = start("cim", args);
  await again.printed(`CIM is ready at ${route}`);
  await dave.shows("said while it was dead", 30_000);
  for (const terminal of [carol, dave]) {
    await terminal.type(":q!");
    expect(await terminal.ended()).toBe(0);
  }
  expect(await again.stop()).toBe(0);
});

function start(program: string, args: string[]): RunningProcess {
  const running = new RunningProcess([join(bare, program), ...args], { cwd: bare, env: { PATH: "" } });
  cleanups.push(() => running.kill());
  return running;
}

/** Someone who starts the client in a terminal and answers what it asks. */
async function person(name: string, route: string, language = "en", known = false): Promise<Terminal> {
  const home = join(bare, `home of ${name}`);
  const terminal = await Terminal.open(
    [join(bare, "cim-client"), "--route", route, "--user", name, "--lang", language],
    { HOME: home, XDG_CONFIG_HOME: join(home, "config"), XDG_DATA_HOME: join(home, "data") },
  );
  cleanups.push(() => terminal.close());
  if (!known) {
    const password = `the password of ${name}`;
    await terminal.shows(language === "en" ? "Password:" : "密码");
    await terminal.type(password);
    await terminal.shows("[y/N]");
    await terminal.type("y");
    await terminal.shows(language === "en" ? "The same password again" : "再");
    await terminal.type(password);
  }
  await terminal.shows(":all");
  return terminal;
}
