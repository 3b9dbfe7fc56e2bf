/** The SDK from one source in Bun, in Deno and in a browser, over TCP where there is some and over WebSockets everywhere. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join as joinPath } from "node:path";
import { Glob } from "bun";
import type { Client } from "../../client/sdk/client.ts";
import { websocket } from "../../client/sdk/websocket.ts";
import { bundleForBrowser } from "../../scripts/browser.ts";
import { openBrowser } from "../support/browser.ts";
import { join, PASSWORD } from "../support/chat.ts";
import { DATA, everywhere, MIDDLE, type Seen, TEXTS } from "../support/everywhere.ts";
import { REPOSITORY, RunningProcess } from "../support/process.ts";
import { System } from "../support/system.ts";

setDefaultTimeout(90_000);

const DENO = [...new Glob("@deno/*/deno").scanSync(joinPath(REPOSITORY, "node_modules"))].map((path) =>
  joinPath(REPOSITORY, "node_modules", path),
)[0];

interface InBrowser {
  everywhere(given: ReturnType<typeof options>): Promise<Seen>;
}

let system: System;
let echo: Client;

beforeAll(async () => {
  system = await System.start({ servers: 1 });
  echo = await join(system, "echo");
  void answerAll();
});
afterAll(async () => {
  await echo?.detach();
  await system?.end();
});

async function answerAll(): Promise<void> {
  for await (const { sender, text, data } of echo.messages) {
    void echo.sendTo(sender.userId, text ?? data!).catch(() => undefined);
    if (text === MIDDLE) void system.servers[0]!.kill().then(() => system.servers[0]!.start());
  }
}

function options(userName: string) {
  return { routeUrl: system.routeUrl, userName, password: PASSWORD, register: true };
}

/** The whole conversation once and in order, whatever happened in the middle of it. */
function expectAll(userName: string, seen: Seen): void {
  const { seqs, states, ...rest } = seen;
  expect(rest).toEqual({
    echoes: [...TEXTS, DATA.toHex()],
    history: 2 * (TEXTS.length + 1),
    online: expect.arrayContaining(["echo", userName]),
    unknown: null,
    refused: "the message is empty",
  });
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  expect([states.slice(0, 3), states.slice(-2)]).toEqual([
    ["Connecting", "Ready", "Reconnecting"],
    ["Closed", "then Closed"],
  ]);
}

test("Bun, over TCP", async () => {
  expectAll("bun-tcp", await everywhere(options("bun-tcp")));
});

test("Bun, over a WebSocket", async () => {
  expectAll("bun-ws", await everywhere({ ...options("bun-ws"), transport: websocket }));
});

// Its binary is a package of its own for each platform.
test.skipIf(DENO === undefined || !existsSync(DENO))("Deno, over a WebSocket", async () => {
  const program = joinPath(REPOSITORY, "tests/support/everywhere-main.ts");
  const flags = ["--no-lock", "--cached-only", "--allow-net", "--allow-read", "--allow-env"];
  const running = new RunningProcess([DENO!, "run", ...flags, program, JSON.stringify(options("deno"))]);
  const [, seen] = await running.printed(/^seen (.*)$/m, 60_000);
  expectAll("deno", JSON.parse(seen!));
  await running.exited;
});

test("Chromium, over a WebSocket", async () => {
  const browser = await openBrowser();
  try {
    const page = await browser.newPage();
    // A page that really comes from this machine: Chromium keeps others from its own network.
    await page.goto(`${system.routeUrl}/health`);
    await page.evaluate(await bundleForBrowser("tests/support/everywhere-browser.ts"));
    const seen = await page.evaluate(
      (given) => (globalThis as unknown as InBrowser).everywhere(given),
      options("chromium"),
    );
    expectAll("chromium", seen);
  } finally {
    await browser.close();
  }
});
