/** Ten thousand lines piped into the compiled console. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { join as enter, PASSWORD, Reader } from "../support/chat.ts";
import { PROCESS_TEST_MS, RunningProcess } from "../support/process.ts";
import { System } from "../support/system.ts";

setDefaultTimeout(2 * PROCESS_TEST_MS);

const LINES = 10_000;
/** Several times what it takes: most of it is Bun itself, and garbage that waits. */
const MAX_BYTES = 512 * 1024 * 1024;

let directory: string;
let system: System;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cim-pipe-"));
  const build = new RunningProcess(["bun", "run", "build", "--outdir", directory, "cim-client"]);
  if ((await build.exited) !== 0) throw new Error(build.output);
  system = await System.start({ env: { CIM_MAX_MESSAGES_PER_SECOND: "1000000" } });
}, PROCESS_TEST_MS);
afterAll(async () => {
  for (const close of closing) await close();
  await system?.end();
  if (directory) await rm(directory, { recursive: true });
});

test.each([
  ["in words, those of messages that follow one another on one line", [], inWords],
  ["as JSON, each on a line of its own", ["--json"], asJson],
] as const)("all arrive, each once and in order, with receipts %s", async (_, flags, receipts) => {
  const bob = await enter(system, `bob${flags}`);
  const reader = new Reader(bob);
  closing.push(() => bob.close());
  const lines = Array.from({ length: LINES }, (_, i) => `line ${i + 1} 你好 👋`);
  const home = join(directory, `home${flags}`);
  const env = { CIM_PASSWORD: PASSWORD, HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home };
  const who = ["--route", system.routeUrl, "--user", `alice${flags}`];
  const running = Bun.spawn([join(directory, "cim-client"), ...who, ...flags], {
    env,
    stdin: new Blob([lines.map((line) => `${bob.userName};;${line}\n`).join("")]),
    stdout: "pipe",
    stderr: "pipe",
  });
  closing.push(async () => running.kill("SIGKILL"));
  const out = new Response(running.stdout).text();
  const err = new Response(running.stderr).text();
  const code = await running.exited;
  const texts = await reader.count(LINES, PROCESS_TEST_MS);
  const seqs = receipts(await out);
  expect([code, await err, texts, seqs, running.resourceUsage()!.maxRSS < MAX_BYTES]).toEqual([
    0,
    "",
    lines,
    Array.from({ length: LINES }, (_, i) => i + 1),
    true,
  ]);
});

/** "✓ accepted: to bob(1), #1–#64" are 64 receipts. */
function inWords(out: string): number[] {
  return [...out.matchAll(/✓ accepted: .*, #(\d+)(?:–#(\d+))?$/gm)].flatMap(([, from, to = from]) =>
    Array.from({ length: +to! - +from! + 1 }, (_, i) => +from! + i),
  );
}

function asJson(out: string): number[] {
  const events = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  return events.filter(({ type }) => type === "sent").map(({ seq }) => seq);
}
