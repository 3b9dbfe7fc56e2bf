import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { Here } from "../sdk/here.ts";
import { Consoles } from "./consoles.ts";

const MAIN = join(import.meta.dir, "../../../client/main.ts");

let here: Here;
let consoles: Consoles;

beforeAll(async () => {
  here = await Here.open();
  await here.server();
  consoles = new Consoles(here.config.routeUrl);
});
afterAll(async () => {
  consoles[Symbol.dispose]();
  await here[Symbol.asyncDispose]();
});

interface RunOptions {
  env?: Record<string, string>;
  stdout?: "pipe" | Bun.BunFile;
  input?: string;
}

/** The program as a process of its own: its exit code, and what it says on stderr. */
async function run(args: string[], { env, stdout = "pipe", input = "" }: RunOptions = {}) {
  const running = Bun.spawn([process.execPath, MAIN, "--route", here.config.routeUrl, ...args], {
    env: { PATH: process.env.PATH, ...consoles.env, CIM_PASSWORD: "password1", ...env },
    stdin: new Blob([input]),
    stdout,
    stderr: "pipe",
  });
  const out = running.stdout instanceof ReadableStream ? await new Response(running.stdout).text() : "";
  return { code: await running.exited, out, err: await new Response(running.stderr).text() };
}

test("lines from a pipe are sent by a process that then ends by itself", async () => {
  const { code, out, err } = await run(["--user", "piped", "--json"], { input: "one\n二\n" });
  const events = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect([code, err, events.map(({ type, text }) => [type, text])]).toEqual([
    0,
    "",
    [
      ["ready", undefined],
      ["sent", "one"],
      ["sent", "二"],
    ],
  ]);
});

test("--version and --help need neither a user nor a route", async () => {
  const [version, help] = [await run(["--version"]), await run(["--help"])];
  expect([version.code, version.out, help.code, help.out.includes("--route URL")]).toEqual([
    0,
    expect.stringMatching(/^cim-client \d+\.\d+\.\d+\n$/),
    0,
    true,
  ]);
});

test("an output that cannot be written, or a directory that cannot be made, is one line and the exit code 1", async () => {
  const full = await run(["--user", "full"], { stdout: Bun.file("/dev/full"), input: "hello\n" });
  const nowhere = await run(["--user", "nowhere"], { env: { XDG_DATA_HOME: "/proc/nowhere" } });
  expect([full.code, full.err, nowhere.code, nowhere.err]).toEqual([
    1,
    expect.stringMatching(/^cim-client: the output cannot be written: ENOSPC.*\n$/),
    1,
    expect.stringMatching(/^cim-client: .*\/proc\/nowhere\/cim\/nowhere-.*\n$/),
  ]);
});
