/** What tests of the page share: one browser for the file, and for each test its system and its people, all closed after it. */
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { openBrowser, Person } from "./browser.ts";
import { System, type SystemOptions } from "./system.ts";

const TEST_MS = 90_000;

export interface Visit {
  readonly browser: Browser;
  system(options?: SystemOptions): Promise<System>;
  /** Somebody who comes with a browser of one's own and makes an account. */
  join(url: { routeUrl: string }, name: string, options?: BrowserContextOptions): Promise<Person>;
  /** Watches a page that was opened otherwise. */
  watch(person: Person): Person;
  /** To be done after the test. */
  defer(close: () => Promise<unknown>): void;
}

/** To be called once, at the top of the file. */
export function visit(): Visit {
  setDefaultTimeout(TEST_MS);
  let browser: Browser;
  const people: Person[] = [];
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser.close());
  afterEach(async () => {
    const complaints = people.splice(0).flatMap((person) => person.complaints);
    for (const close of closing.splice(0).reverse()) await close();
    // In each test alike: nothing in the browser's console.
    expect(complaints).toEqual([]);
  });

  const watch = (person: Person) => {
    people.push(person);
    closing.push(() => person.page.context().close());
    return person;
  };
  return {
    get browser() {
      return browser;
    },
    async system(options = {}) {
      const system = await System.start(options);
      closing.push(() => system.end());
      return system;
    },
    join: async ({ routeUrl }, name, options) => watch(await Person.join(browser, routeUrl, name, options)),
    watch,
    defer: (close) => void closing.push(close),
  };
}
