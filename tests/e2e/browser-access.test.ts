/** The page for everyone: without a mouse, with a screen reader, in both languages and themes, on a phone. */
import { describe, expect, test } from "bun:test";
import { join as joinPath } from "node:path";
import type { Page } from "playwright-core";
import { Person } from "../support/browser.ts";
import { join, PASSWORD } from "../support/chat.ts";
import { REPOSITORY } from "../support/process.ts";
import { until } from "../support/until.ts";
import { visit } from "../support/visit.ts";

const here = visit();
const AXE = joinPath(REPOSITORY, "node_modules/axe-core/axe.min.js");
const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

interface Axe {
  run(): Promise<{ violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] }>;
}

/** What axe-core finds wrong. The script is put into the page by the browser's own means, which no policy forbids. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(await Bun.file(AXE).text());
  const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: Axe }).axe.run());
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const [device, size] of [
    ["a desktop", {}],
    ["a phone", PHONE],
  ] as const) {
    test(`axe-core finds nothing wrong in the ${colorScheme} theme on ${device}`, async () => {
      const system = await here.system();
      const options = { colorScheme, reducedMotion: "reduce", ...size } as const;
      const ann = here.watch(await Person.come(here.browser, system.routeUrl, "ann", options));
      const { page } = ann;
      const found: Record<string, string[]> = { "signing in": await violations(page) };
      await ann.fillIn("Sign in", "not her password");
      await page.getByText("Name and password do not match.").waitFor();
      found["a mistake"] = await violations(page);
      await ann.register();
      await using bob = await join(system, "bob");
      await using carl = await join(system, "Carl");
      await bob.sendAll("Hello, everyone");
      await carl.sendTo((await carl.findUser("ann"))!.userId, "Hello, ann");
      await page.getByRole("button", { name: /Carl.*1 unread/ }).waitFor();
      found["the list"] = await violations(page);
      await page.getByRole("button", { name: "Change password" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Change password" }).click();
      await page.getByText("A password has at least 8 characters.").waitFor();
      found["a new password"] = await violations(page);
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await ann.open("Everyone");
      await ann.write("Hello, all");
      await ann.marked("Sent");
      found.everyone = await violations(page);
      if (device === "a phone") await page.getByRole("button", { name: "Back to conversations" }).click();
      await ann.open("Carl");
      await ann.write("Hello, Carl");
      await ann.marked("Delivered");
      await page.getByRole("button", { name: "Emoji" }).click();
      found.emoji = await violations(page);
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Search in this conversation" }).click();
      await page.getByRole("searchbox", { name: "Search in this conversation" }).fill("hello");
      await page.getByText("2 matches", { exact: true }).waitFor();
      found["a search"] = await violations(page);
      await system.route.kill();
      await ann.status("No connection");
      await ann.write("later");
      found["no connection"] = await violations(page);
      expect(found).toEqual(Object.fromEntries(Object.keys(found).map((view) => [view, []])));
    });
  }
}

test("all of it works with the keyboard alone", async () => {
  const system = await here.system();
  await using bob = await join(system, "bob");
  const ann = here.watch(await Person.come(here.browser, system.routeUrl, "ann"));
  const { page } = ann;
  const keys = async (...names: string[]) => {
    for (const name of names) await page.keyboard.press(name);
  };
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label"));

  await keys("Tab", "Tab", "Enter", "Tab");
  await page.keyboard.type("ann");
  await keys("Tab");
  await page.keyboard.type(PASSWORD);
  await keys("Enter");
  await ann.ready();
  expect(await focused()).toBe("Message Everyone");
  await page.keyboard.type("first line");
  await keys("Shift+Enter");
  await page.keyboard.type("second line");
  await keys("Enter");
  expect(await ann.count(1)).toEqual(["first line\nsecond line"]);

  await keys("Control+k");
  expect(await focused()).toBe("Search people and chats");
  await page.keyboard.type("bob");
  await page.getByRole("list", { name: "Online now" }).getByRole("button", { name: "bob" }).waitFor();
  await keys("Tab", "Enter");
  await page.getByRole("heading", { name: "bob", exact: true }).waitFor();
  expect(await focused()).toBe("Message bob");

  // Back to the button before the field, into the grid, one to the right, pick it, and out.
  await keys("Shift+Tab", "Enter", "ArrowRight", "Enter", "Escape");
  expect(await focused()).toBe("Message bob");
  await keys("Enter");
  expect(await ann.count(1)).toEqual(["😃"]);
  await ann.marked("Delivered");
  expect(bob.userName).toBe("bob");
});

// In Safari the key comes when the composition is over: half a sentence was sent.
test("Enter that chooses a word in an input method sends nothing", async () => {
  const system = await here.system();
  const ann = await here.join(system, "ann");
  const field = ann.page.getByRole("textbox", { name: "Message Everyone" });
  await field.fill("你好");
  for (const how of [{ isComposing: true }, { keyCode: 229 }]) {
    await field.dispatchEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...how });
  }
  expect(await field.inputValue()).toBe("你好");
  await field.press("Enter");
  expect(await ann.count(1)).toEqual(["你好"]);
});

test("the download for the terminal is a link in the page's language, before signing in and after it", async () => {
  const system = await here.system();
  const ann = here.watch(await Person.come(here.browser, system.routeUrl, "ann", { locale: "zh-CN" }));
  const { page } = ann;
  await page.getByRole("link", { name: "终端客户端" }).click();
  await page.getByRole("heading", { name: "终端里的 CIM" }).waitFor();
  await page.goBack();
  await page.getByRole("button", { name: "English" }).click();
  await ann.register();
  const link = page.getByRole("navigation").getByRole("link");
  expect(await link.textContent()).toBe("CIM for the terminal (opens a new tab)");
  await link.focus();
  const [tab] = await Promise.all([page.context().waitForEvent("page"), page.keyboard.press("Enter")]);
  await tab.getByRole("heading", { name: "CIM in a terminal" }).waitFor();
  await ann.status("");
});

test("a new message is read aloud by screen readers, and the history is not", async () => {
  const system = await here.system();
  await using bob = await join(system, "bob");
  await bob.sendAll("old");
  const ann = await here.join(system, "ann");
  await ann.count(1);
  await bob.sendAll("new");
  await ann.count(2);
  expect(await ann.page.locator("[aria-live=polite]").allTextContents()).toEqual(["bob: new"]);
});

describe("language and theme", () => {
  test("are the browser's, and stay what they were switched to", async () => {
    const system = await here.system();
    const options = { locale: "zh-CN", colorScheme: "dark" } as const;
    const { page } = here.watch(await Person.come(here.browser, system.routeUrl, "ann", options));
    const look = () =>
      page.evaluate(() => ({
        language: document.documentElement.lang,
        button: document.querySelector("[type=submit]")!.textContent,
        dark: getComputedStyle(document.documentElement).backgroundColor === "rgb(16, 19, 26)",
      }));
    await page.getByRole("button", { name: "登录" }).first().waitFor();
    expect(await look()).toEqual({ language: "zh-CN", button: "登录", dark: true });
    await page.getByRole("button", { name: "English" }).click();
    await page.getByRole("button", { name: "Theme: as the system" }).click();
    await page.getByRole("button", { name: "Theme: light" }).waitFor();
    expect(await look()).toEqual({ language: "en", button: "Sign in", dark: false });
    await page.reload();
    await page.getByRole("button", { name: "Theme: light" }).waitFor();
    expect(await look()).toEqual({ language: "en", button: "Sign in", dark: false });
  });
});

describe("on a phone", () => {
  test("the list and a conversation take turns, and the phone's way back leads to the list", async () => {
    const system = await here.system();
    const ann = await here.join(system, "ann", PHONE);
    const { page } = ann;
    const inView = async () => ({
      list: await page.getByRole("navigation").isVisible(),
      conversation: await page.getByRole("log").isVisible(),
    });
    expect(await inView()).toEqual({ list: true, conversation: false });
    await ann.open("Everyone");
    expect(await inView()).toEqual({ list: false, conversation: true });
    // It had no height, having been made behind the list.
    const field = page.getByRole("textbox", { name: "Message Everyone" });
    expect((await field.boundingBox())!.height).toBeGreaterThan(30);
    await page.goBack();
    expect(await inView()).toEqual({ list: true, conversation: false });
  });

  test("the emoji stand below the messages, which scroll meanwhile; a tap on them or the field puts the emoji away", async () => {
    const system = await here.system();
    await using bob = await join(system, "bob");
    for (let i = 1; i <= 40; i++) await bob.sendAll(`number ${i}`);
    const ann = await here.join(system, "ann", { ...PHONE, viewport: { width: 320, height: 568 } });
    const { page } = ann;
    await ann.open("Everyone");
    await ann.count(40);
    await page.getByRole("button", { name: "Emoji" }).tap();
    const emoji = page.getByRole("group", { name: "Emoji" });
    const log = page.getByRole("log");
    const bottom = async () => {
      const [last, panel] = await Promise.all([
        log.getByText("number 40", { exact: true }).boundingBox(),
        emoji.boundingBox(),
      ]);
      return last!.y + last!.height <= panel!.y;
    };
    await until("the last message stands above the emoji", bottom);

    // With a finger on the messages, as far as the first of them.
    const touch = await page.context().newCDPSession(page);
    const { x, y } = (await log.boundingBox())!;
    const scroll = (yDistance: number) =>
      touch.send("Input.synthesizeScrollGesture", { x: x + 100, y: y + 50, yDistance, speed: 20_000 });
    await scroll(5000);
    await until("the beginning is in view", () => log.evaluate((box) => box.scrollTop === 0));
    expect(await emoji.isVisible()).toBe(true);
    await scroll(-5000);
    await until("the end is in view", bottom);

    await log.tap();
    await emoji.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Emoji" }).tap();
    await emoji.getByRole("button", { name: "😀" }).tap();
    await page.getByRole("textbox", { name: "Message Everyone" }).tap();
    await emoji.waitFor({ state: "detached" });
    expect(await page.getByRole("textbox", { name: "Message Everyone" }).inputValue()).toBe("😀");
  });

  test("the button to sign in is in view on the smallest, with a mistake above it", async () => {
    const system = await here.system();
    const small = { ...PHONE, viewport: { width: 320, height: 568 } };
    const ann = here.watch(await Person.come(here.browser, system.routeUrl, "ann", small));
    await ann.fillIn("Sign in", "not her password");
    await ann.page.getByText("Name and password do not match.").waitFor();
    // Filling it in has scrolled there.
    await ann.page.locator(".sign-in").evaluate((box) => box.scrollTo({ top: 0 }));
    const { y, height } = (await ann.page.locator("[type=submit]").boundingBox())!;
    expect(y + height).toBeLessThanOrEqual(568);
  });

  test("nothing is wider than the screen, whatever people write", async () => {
    const system = await here.system();
    const narrow = { ...PHONE, viewport: { width: 320, height: 640 } };
    const ann = here.watch(await Person.come(here.browser, system.routeUrl, "ann", narrow));
    await ann.page.getByLabel("Name").waitFor();
    const overflow = () => ann.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    const form = await ann.page.locator("form").boundingBox();
    const signingIn = form!.x + form!.width <= 320 ? await overflow() : "the form";
    await ann.register();
    await using bob = await join(system, "b".repeat(64));
    await bob.sendAll("w".repeat(500));
    await bob.sendAll(`https://example.com/${"path/".repeat(60)}`);
    await ann.page.getByRole("navigation").getByText("example.com").waitFor();
    const inList = await overflow();
    await ann.open("Everyone");
    await ann.count(2);
    const log = await ann.page.getByRole("log").evaluate((box) => box.scrollWidth - box.clientWidth);
    expect([signingIn, inList, await overflow(), log]).toEqual([0, 0, 0, 0]);
  });
});
