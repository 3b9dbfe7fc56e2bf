/** The README's commands do what it says, as they are written there. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join as joinPath } from "node:path";
import { join } from "../support/chat.ts";
import { freePorts } from "../support/ports.ts";
import { PROCESS_TEST_MS, REPOSITORY, RunningProcess } from "../support/process.ts";
import { System } from "../support/system.ts";
import { Terminal } from "../support/terminal.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test("its Run section sets up and starts everything, and the clients it names chat", async () => {
  const [setUpAndStart, clients] = await blocks("Run");
  const system = await System.prepare();
  cleanups.push(() => system.end());
  // Ports and directories of their own; the commands are not touched.
  const everything = new RunningProcess(["bash", "-c", setUpAndStart!], { env: system.route.env });
  cleanups.push(() => everything.kill());
  await everything.printed(`CIM is ready at ${system.routeUrl}`, 30_000);

  const terminals: Terminal[] = [];
  for (const command of clients!.trim().split("\n")) {
    const home = joinPath(system.dataDir, `home ${terminals.length}`);
    const env = { CIM_ROUTE_URL: system.routeUrl, HOME: home, PATH: process.env.PATH!, LANG: "C.UTF-8" };
    const terminal = await Terminal.open(["bash", "-c", command], env);
    cleanups.push(() => terminal.close());
    for (const [question, answer] of [
      ["Password:", "eight or more"],
      ["[y/N]", "y"],
      ["again:", "eight or more"],
    ] as const) {
      await terminal.shows(question);
      await terminal.type(answer);
    }
    await terminal.shows(":all");
    terminals.push(terminal);
  }
  const [alice, bob] = terminals as [Terminal, Terminal];
  await alice.type("bob;;hello");
  await bob.shows(/alice.*: hello/);
  await bob.type("hello, everyone");
  await alice.shows(/bob.*: hello, everyone/);
});

test("its commands for the roles start them", async () => {
  const [route, server] = (await blocks("Run"))[2]!.trim().split("\n");
  const [routePort, tcp, http] = (await freePorts(3)).map(String) as [string, string, string];
  const system = await System.prepare();
  cleanups.push(() => system.end());
  const env = {
    ...system.route.env,
    CIM_ROUTE_PORT: routePort,
    CIM_ROUTE_URL: `http://127.0.0.1:${routePort}`,
    CIM_SERVER_PORT: tcp,
    CIM_SERVER_HTTP_PORT: http,
  };
  for (const [command, says] of [
    [route!, `http://127.0.0.1:${routePort}`],
    [server!, `127.0.0.1:${tcp}:${http}`],
  ] as const) {
    const running = new RunningProcess(["bash", "-c", command], { env });
    cleanups.push(() => running.kill());
    await running.printed(says);
  }
});

test("its program hears what its call over HTTP says to everyone", async () => {
  const [call] = await blocks("Use it from a program");
  const [program] = await blocks("Use it from a program", "ts");
  const key = /CIM_ADMIN_KEY=(\S+)/.exec(call!)![1]!;
  const system = await System.start({ env: { CIM_ADMIN_KEY: key } });
  cleanups.push(() => system.end());
  await using alice = await join(system, "alice");
  const here = (text: string) => text.replaceAll("http://127.0.0.1:8083", system.routeUrl);
  const env = { PROGRAM: here(program!) };
  const running = new RunningProcess(["bash", "-c", 'bun run - <<< "$PROGRAM"'], { env });
  cleanups.push(() => running.kill());
  const hello = await alice.messages[Symbol.asyncIterator]().next();
  const called = new RunningProcess(["bash", "-c", here(call!)]);
  await called.printed('"code":"9000"');
  await running.printed("alice We open at nine");
  expect(hello.value?.text).toBe("hello, everyone");
});

test("its Test section is what CI runs, and the scripts it names are there", async () => {
  const [command] = await blocks("Test");
  const ci = await Bun.file(joinPath(REPOSITORY, ".ci/run")).text();
  expect(ci).toContain(command!.trim());
  const { scripts } = await Bun.file(joinPath(REPOSITORY, "package.json")).json();
  const readme = await Bun.file(joinPath(REPOSITORY, "README.md")).text();
  const named = [...readme.matchAll(/bun run (\w+)/g)].map(([, name]) => name!);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});

/** The blocks of code below a heading. */
async function blocks(heading: string, language = "bash"): Promise<string[]> {
  const readme = await Bun.file(joinPath(REPOSITORY, "README.md")).text();
  const section = readme.split(`\n## ${heading}\n`)[1]?.split(/^## /m)[0] ?? "";
  return [...section.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "gs"))].map(
    ([, block]) => block!,
  );
}
