import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { API } from "../../route/api.ts";
import { assets } from "../../route/docs-assets.ts";
import { listenRoute } from "../../route/listen.ts";
import { OpenRoute } from "./open-route.ts";

const CHROMIUM = "/usr/bin/chromium";
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"];
const OFFLINE = ["--disable-background-networking", "--disable-component-update"];

test("the page shows every call and tries one, from this route alone and within its policy", async () => {
  await using route = await OpenRoute.start({}, { assets });
  const listener = listenRoute({ host: "127.0.0.1", routePort: 0, tlsCert: "", tlsKey: "" }, route.route);
  const profile = await mkdtemp(join(tmpdir(), "cim-chromium-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: [...QUIET, ...OFFLINE],
  });
  try {
    const page = await browser.newPage();
    const [complaints, elsewhere]: [string[], string[]] = [[], []];
    page.on("console", (message) => void complaints.push(message.text()));
    page.on("pageerror", (error) => void complaints.push(String(error)));
    page.on("request", (request) => {
      if (!request.url().startsWith(listener.url)) elsewhere.push(request.url());
    });
    await page.goto(`${listener.url}/docs`);
    await page.locator(".opblock").first().waitFor();
    await page.emulateMedia({ colorScheme: "dark" });
    await page.locator("html.dark-mode").waitFor();
    const calls = await page.locator(".opblock-summary-path").allTextContents();
    await page.locator("[id$='-registerAccount'] .opblock-summary").click();
    await page.locator(".try-out__btn").click();
    await page.locator(".execute").click();
    const answer = await page
      .locator(".live-responses-table .response-col_description code")
      .first()
      .textContent();
    expect([calls.length, JSON.parse(answer!), complaints, elsewhere]).toEqual([
      Object.keys(API).length,
      { code: "9000", message: "Success", reqNo: null, dataBody: { userId: 1, userName: "zhangsan" } },
      [],
      [],
    ]);
  } finally {
    await browser.close();
    await listener.close();
    await rm(profile, { recursive: true });
  }
}, 30_000);
