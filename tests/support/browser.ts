/** The page in a real Chromium, used as a person does: by what is written on it. */
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import { PASSWORD } from "./chat.ts";
import { until } from "./until.ts";

const EXECUTABLE = "/usr/bin/chromium";
/** Nothing that Chromium does of its own accord. */
const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** What Chromium itself writes into the console while a server is gone; no script can keep it from that. */
const OUTAGE = /net::ERR_|WebSocket connection to .* failed|Failed to load resource/;
const ACTION_MS = 30_000;

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: QUIET });
}

/** A message as it stands on the page. */
export interface Shown {
  text: string;
  /** What its mark says; absent for others' messages. */
  mark?: string;
}

export class Person {
  /** What the page complained of, but for a server that is gone. */
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    readonly name: string,
  ) {
    page.setDefaultTimeout(ACTION_MS);
    page.on("pageerror", (error) => this.complaints.push(error.stack ?? error.message));
    page.on("console", (message) => {
      const bad = message.type() === "error" || message.type() === "warning";
      if (bad && !OUTAGE.test(message.text())) this.complaints.push(message.text());
    });
  }

  /** Somebody with a browser of one's own, at the page. */
  static async come(
    browser: Browser,
    url: string,
    name: string,
    options: BrowserContextOptions = {},
  ): Promise<Person> {
    return Person.openTab(await browser.newContext({ locale: "en-US", ...options }), url, name);
  }

  /** One more tab of a browser. */
  static async openTab(context: BrowserContext, url: string, name: string): Promise<Person> {
    const person = new Person(await context.newPage(), name);
    await person.page.goto(url.replace(/\/*$/, "/"));
    return person;
  }

  /** Comes and makes an account. */
  static async join(
    browser: Browser,
    url: string,
    name: string,
    options: BrowserContextOptions = {},
  ): Promise<Person> {
    const person = await Person.come(browser, url, name, options);
    await person.register();
    return person;
  }

  async register(): Promise<void> {
    await this.page.getByRole("button", { name: "Create account" }).first().click();
    await this.fillIn("Create account");
    await this.ready();
  }

  async signIn(): Promise<void> {
    await this.fillIn("Sign in");
    await this.ready();
  }

  async fillIn(button: string, password = PASSWORD): Promise<void> {
    const { page } = this;
    await page.getByLabel("Name").fill(this.name);
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByRole("button", { name: button }).last().click();
  }

  /** Resolves when the chat is there and connected. */
  async ready(): Promise<void> {
    await this.page.getByRole("navigation").waitFor();
    await this.status("");
  }

  /** Opens the conversation with everyone, or with this person. */
  async open(name: string): Promise<void> {
    const rows = this.page.getByRole("navigation").getByRole("listitem").getByRole("button");
    await rows
      .filter({ has: this.page.getByText(name, { exact: true }) })
      .first()
      .click();
    await this.page.getByRole("main").getByRole("heading", { name, exact: true }).waitFor();
  }

  async write(text: string): Promise<void> {
    const field = this.page.getByRole("main").getByRole("textbox", { name: /^Message/ });
    await field.fill(text);
    await field.press("Enter");
  }

  /** All that the open conversation shows. */
  shown(): Promise<Shown[]> {
    return this.page.getByRole("log").evaluate((log) =>
      Array.from(log.querySelectorAll(".message"), (message) => {
        const mark = message.querySelector(".mark .only-read")?.textContent;
        return { text: message.querySelector(".text")!.textContent!, ...(mark && { mark }) };
      }),
    );
  }

  async texts(): Promise<string[]> {
    return (await this.shown()).map(({ text }) => text);
  }

  /** Resolves once the open conversation shows as many messages; answers their texts. */
  async count(count: number, deadlineMs = ACTION_MS): Promise<string[]> {
    await until(
      `${this.name}'s page shows ${count} messages`,
      async () => (await this.texts()).length >= count,
      deadlineMs,
    );
    return this.texts();
  }

  /** Resolves once each message of one's own is marked so. */
  async marked(mark: string, deadlineMs = ACTION_MS): Promise<void> {
    await until(
      `${this.name}'s messages are all marked ${mark}`,
      async () => {
        const own = (await this.shown()).filter((message) => message.mark);
        return own.length > 0 && own.every((message) => message.mark === mark);
      },
      deadlineMs,
    );
  }

  /** Resolves once the status line begins so. */
  async status(text: string, deadlineMs = ACTION_MS): Promise<void> {
    await until(
      `${this.name}'s page says "${text}"`,
      async () => {
        const said = (await this.page.locator(".status").textContent()) ?? "";
        return text === "" ? said === "" : said.startsWith(text);
      },
      deadlineMs,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}
