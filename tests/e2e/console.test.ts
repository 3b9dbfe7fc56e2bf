/** The console as a process: how it ends when it is told to, or when its terminal is gone. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { PROCESS_TEST_MS } from "../support/process.ts";
import { System } from "../support/system.ts";
import { Terminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

// It went on to wait for a password that nobody could type any more, at full load once the terminal was gone.
test("a console that asks for the password ends when it is told to, and when its terminal is closed", async () => {
  const system = await System.start();
  cleanups.push(() => system.end());
  const told = await open(system);
  await told.shows("Password:");
  process.kill(await told.pid(), "SIGTERM");
  expect(await told.ended()).toBe(0);
  const closed = await open(system);
  await closed.shows("Password:");
  const pid = await closed.pid();
  await closed.close();
  await until("the console is gone", () => {
    try {
      return !process.kill(pid, 0);
    } catch {
      return true;
    }
  });
});

// Nothing that was typed came through until somebody wrote.
test("a console that was stopped with Ctrl-Z goes on in the foreground, where it asks and where one chats", async () => {
  const system = await System.start();
  cleanups.push(() => system.end());
  const terminal = await open(system, ["bash", "--norc", "-i"]);
  await terminal.type(consoleOf(system).join(" "));
  for (const [question, answer] of [
    ["Password:", "correct horse"],
    ["[y/N]", "y"],
    ["again:", "correct horse"],
    [">", "hello"],
  ] as const) {
    await terminal.shows(new RegExp(`${RegExp.escape(question)} *$`, "m"));
    await terminal.press("C-z", true);
    await terminal.shows("Stopped");
    // What is left on the screen is of the console as it goes on.
    await terminal.type("clear; echo; fg");
    await terminal.shows(new RegExp(`^\\nbun .*\\n[\\s\\S]*${RegExp.escape(question)}`));
    await terminal.type(answer);
  }
  await terminal.shows("accepted: to everyone, #1");
});

function consoleOf({ routeUrl }: System): string[] {
  return ["bun", "client/main.ts", "--route", routeUrl, "--user", "zed"];
}

async function open(system: System, command = consoleOf(system)): Promise<Terminal> {
  const home = join(system.dataDir, "home");
  const env = { HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home, PATH: process.env.PATH! };
  const terminal = await Terminal.open(command, env);
  cleanups.push(() => terminal.close());
  return terminal;
}
