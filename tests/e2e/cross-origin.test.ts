/** The SDK in a page that comes from elsewhere. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser } from "playwright-core";
import type { connect as Connect } from "../../client/sdk/client.ts";
import { bundleForBrowser } from "../../scripts/browser.ts";
import { openBrowser } from "../support/browser.ts";
import { PASSWORD } from "../support/chat.ts";
import { freePorts } from "../support/ports.ts";
import { System } from "../support/system.ts";

setDefaultTimeout(60_000);

const PAGE = `<!doctype html><script type="module">
  import { connect } from "./cim-sdk.js";
  globalThis.connect = connect;
</script>`;

let browser: Browser;
let system: System;
let sites: Bun.Server<undefined>[];

beforeAll(async () => {
  const sdk = await bundleForBrowser("client/sdk/client.ts");
  const fetch = ({ url }: Request) =>
    url.endsWith("/cim-sdk.js")
      ? new Response(sdk, { headers: { "content-type": "text/javascript" } })
      : new Response(PAGE, { headers: { "content-type": "text/html" } });
  const ports = await freePorts(2);
  sites = ports.map((port) => Bun.serve({ port, hostname: "127.0.0.1", fetch }));
  system = await System.start({ env: { CIM_ALLOW_ORIGINS: `https://app.example,${origin(0)}` } });
  browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await system?.end();
  for (const site of sites ?? []) await site.stop(true);
});

function origin(site: number): string {
  return sites[site]!.url.origin;
}

/** What the page at the site says of itself after it was there: who is online, and what it was told. */
async function visit(site: number, userName: string): Promise<unknown> {
  const page = await browser.newPage();
  await page.goto(origin(site));
  await page.waitForFunction(() => "connect" in globalThis);
  const given = { routeUrl: system.routeUrl, userName, password: PASSWORD, register: true, loginAttempts: 1 };
  const said = await page.evaluate(async (options) => {
    try {
      const { connect } = globalThis as unknown as { connect: typeof Connect };
      const client = await connect(options);
      const { seq } = await client.sendAll("hello from elsewhere");
      const online: string[] = [];
      for await (const user of client.onlineUsers()) online.push(user.userName);
      await client.close();
      return { seq, online };
    } catch (error) {
      return (error as Error).message;
    }
  }, given);
  await page.close();
  return said;
}

test("a page of an origin that is allowed chats; for any other there is no answer", async () => {
  const said = [await visit(0, "ann"), await visit(1, "eve"), await visit(0, "eve")];
  expect(said).toEqual([
    { seq: 1, online: ["ann"] },
    expect.stringContaining(`no answer from ${system.routeUrl}/login`),
    { seq: 2, online: ["eve"] },
  ]);
});

test("an answer names the origin it is for, if that is allowed, and nothing where none is asked from", async () => {
  const asked = async (from: string | null, method = "GET") => {
    const headers: Record<string, string> = from ? { origin: from } : {};
    if (method === "OPTIONS") headers["access-control-request-method"] = "POST";
    const response = await fetch(`${system.routeUrl}/health`, { method, headers });
    return response.headers.get("access-control-allow-origin");
  };
  expect([
    await asked(null),
    await asked("https://app.example"),
    await asked("https://app.example", "OPTIONS"),
    await asked("https://app.example.evil", "OPTIONS"),
    await asked("null"),
  ]).toEqual([null, "https://app.example", "https://app.example", null, null]);
});
