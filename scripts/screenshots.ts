/**
 * Pictures of the page, from the page itself: `bun scripts/screenshots.ts` writes docs/page.png for the README,
 * `bun scripts/screenshots.ts <directory>` every view in both languages and themes, on a desktop and a phone.
 */
import { mkdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { type Cim, createCim } from "../cim.ts";
import { type Client, connect } from "../client/sdk/client.ts";

type Language = "en" | "zh-CN";
type Theme = "light" | "dark";
type Device = "desktop" | "phone";

interface View {
  language: Language;
  theme: Theme;
  device: Device;
}

const PASSWORD = "a password for a picture";
const SIZES = { desktop: { width: 1180, height: 740 }, phone: { width: 360, height: 700 } };

const PLAYS = {
  en: {
    me: "alice",
    names: ["Bob", "Carmen", "Dmitri", "Erin"],
    everyone: [
      [0, "Good morning! The new build is on staging 🚀"],
      [1, "Nice. I'll run the regression suite against it right away."],
      [1, "It went through. And nothing was lost when I pulled the plug on one of the servers."],
      [2, "Lovely. A short call at three, to go through the rollout?"],
    ],
    answer: "Three works for me. I'll bring the dashboards.",
    private: "Did you see the sketch I sent over?",
    privateAnswer: "I did, it looks great! I only nudged the spacing.",
    privateLast: "Noodles at twelve? 🍜",
    words: "the",
  },
  "zh-CN": {
    me: "林晓",
    names: ["王伟", "李娜", "陈静", "赵强"],
    everyone: [
      [0, "早上好！新版本已经部署到测试环境了 🚀"],
      [1, "太好了，我马上跑一遍回归测试。"],
      [1, "全部通过。我拔掉了一台服务器的电源，也没有丢消息。"],
      [2, "漂亮！下午三点开个短会，过一下上线计划？"],
    ],
    answer: "三点可以，我来准备看板。",
    private: "你看到我发的设计稿了吗？",
    privateAnswer: "看到了，很清爽！我只调了一处间距。",
    privateLast: "十二点去吃面吗？🍜",
    words: "测试",
  },
} as const;

/** One play: people who say their lines, and the page of somebody who answers. */
class Scene {
  private constructor(
    readonly cim: Cim,
    readonly page: Page,
    readonly view: View,
    readonly others: Client[],
  ) {}

  static async open(browser: Browser, view: View): Promise<Scene> {
    const cim = await createCim();
    const { me, names } = PLAYS[view.language];
    const isPhone = view.device === "phone";
    const context = await browser.newContext({
      locale: view.language,
      colorScheme: view.theme,
      viewport: SIZES[view.device],
      deviceScaleFactor: 2,
      isMobile: isPhone,
      hasTouch: isPhone,
    });
    const page = await context.newPage();
    await page.goto(`${cim.routeUrl}/`);
    await page.locator(".switch button").last().waitFor();
    const others: Client[] = [];
    for (const userName of names) {
      others.push(await connect({ routeUrl: cim.routeUrl, userName, password: PASSWORD, register: true }));
    }
    const scene = new Scene(cim, page, view, others);
    return Object.assign(scene, { me });
  }

  async play(): Promise<void> {
    const { page, others, view } = this;
    const play = PLAYS[view.language];
    await page.locator(".switch button").last().click();
    await page.locator("[name=name]").fill(play.me);
    await page.locator("[name=password]").fill(PASSWORD);
    await page.locator("[type=submit]").click();
    await page.locator(".messenger").waitFor();
    for (const [who, text] of play.everyone) await others[who]!.sendAll(text);
    const { userId } = (await others[0]!.findUser(play.me))!;
    await others[3]!.sendTo(userId, play.privateLast);
    await others[0]!.sendTo(userId, play.private);
    await page.locator(".row .badge").nth(1).waitFor();
    await page.locator(".person").nth(3).waitFor();
  }

  async pick(name: RegExp | string): Promise<void> {
    if (this.view.device === "phone" && (await this.page.locator(".back").isVisible())) {
      await this.page.locator(".back").click();
    }
    await this.page.locator(".lists .row", { hasText: name }).first().click();
  }

  async say(text: string): Promise<void> {
    const before = await this.page.locator(".own .mark:not(.queued)").count();
    await this.page.locator("textarea").fill(text);
    await this.page.keyboard.press("Enter");
    await this.page.locator(".own .mark:not(.queued)").nth(before).waitFor();
  }

  shoot(): Promise<Buffer> {
    return this.page.screenshot({ animations: "disabled", caret: "hide" });
  }

  async close(): Promise<void> {
    await this.page.context().close();
    for (const other of this.others) await other.detach();
    await this.cim.close();
  }
}

/** Every view there is to look at, by name. */
async function* views(browser: Browser, view: View): AsyncGenerator<[string, Buffer]> {
  const play = PLAYS[view.language];
  const scene = await Scene.open(browser, view);
  yield ["1-sign-in", await scene.shoot()];
  await scene.play();
  yield ["2-list", await scene.shoot()];
  await scene.pick(/.*/);
  await scene.say(play.answer);
  yield ["3-everyone", await scene.shoot()];
  await scene.pick(play.names[0]);
  await scene.say(play.privateAnswer);
  await scene.page.locator(".composer .quiet").click();
  await scene.page.locator(".emoji").waitFor();
  yield ["4-emoji", await scene.shoot()];
  await scene.page.keyboard.press("Escape");
  await scene.pick(/.*/);
  await scene.page.locator(".conversation header .round").last().click();
  await scene.page.locator(".find input").fill(play.words);
  await scene.page.locator(".find li").first().waitFor();
  yield ["5-search", await scene.shoot()];
  await scene.page.keyboard.press("Escape");
  const tab = await scene.page.context().newPage();
  await tab.goto(`${scene.cim.routeUrl}/`);
  await scene.page.locator("dialog[open]").waitFor();
  yield ["6-elsewhere", await scene.shoot()];
  await tab.close();
  await scene.page.locator("dialog .primary").click();
  await scene.page.locator("dialog").waitFor({ state: "detached" });
  await scene.cim.close();
  await scene.page.locator(".status button").waitFor();
  await scene.page.locator("textarea").fill(play.answer);
  await scene.page.keyboard.press("Enter");
  await scene.page.locator(".mark.queued").waitFor();
  yield ["7-no-connection", await scene.shoot()];
  await scene.close();
}

/** A desktop and a phone before it, on one picture. */
async function picture(browser: Browser): Promise<Buffer> {
  const shots: string[] = [];
  for (const view of [
    { language: "en", theme: "light", device: "desktop" },
    { language: "zh-CN", theme: "dark", device: "phone" },
  ] as const) {
    const scene = await Scene.open(browser, view);
    await scene.play();
    await scene.pick(/.*/);
    await scene.say(PLAYS[view.language].answer);
    shots.push((await scene.shoot()).toString("base64"));
    await scene.close();
  }
  const page = await browser.newPage({ viewport: { width: 1400, height: 724 }, deviceScaleFactor: 1.5 });
  const [desktop, phone] = shots.map((shot) => `data:image/png;base64,${shot}`);
  await page.setContent(`<style>
    body { margin: 0; background: linear-gradient(160deg, #eef1fb, #d9e0f7); }
    img { position: absolute; box-shadow: 0 18px 60px #1a203040; }
    .desktop { left: 40px; top: 57px; width: 970px; border-radius: 14px; }
    .phone { right: 40px; top: 44px; width: 306px; border-radius: 30px; border: 7px solid #05070b; }
  </style><img class="desktop" src="${desktop}"><img class="phone" src="${phone}">`);
  return page.screenshot();
}

/** A system font as most people have one: Debian's own choice looks like none of them. */
async function fonts(directory: string): Promise<string> {
  const file = join(directory, "fonts.conf");
  await writeFile(
    file,
    `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd"><fontconfig>
      ${["system-ui", "sans", "sans-serif", "DejaVu Sans"]
        .map(
          (name) => `<match target="pattern">
          <test name="family"><string>${name}</string></test>
          <edit name="family" mode="prepend" binding="strong"><string>Noto Sans CJK SC</string></edit>
        </match>`,
        )
        .join("")}
      <include>/etc/fonts/fonts.conf</include>
    </fontconfig>`,
  );
  return file;
}

const directory = await mkdtemp(join(tmpdir(), "cim-pictures-"));
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  env: { ...process.env, FONTCONFIG_FILE: await fonts(directory) } as Record<string, string>,
});
const target = process.argv[2];
if (target === undefined) await Bun.write("docs/page.png", await picture(browser));
else {
  mkdirSync(target, { recursive: true });
  for (const language of ["en", "zh-CN"] as const) {
    for (const theme of ["light", "dark"] as const) {
      for (const device of ["desktop", "phone"] as const) {
        for await (const [name, shot] of views(browser, { language, theme, device })) {
          await Bun.write(join(target, `${language}-${theme}-${device}-${name}.png`), shot);
        }
      }
    }
  }
}
await browser.close();
await rm(directory, { recursive: true });
