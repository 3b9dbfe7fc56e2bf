/** The page in real browsers: people write to one another, and nothing is lost or doubled whatever dies in between. */
import { describe, expect, test } from "bun:test";
import type { Dialog } from "playwright-core";
import { join, PASSWORD, Reader } from "../support/chat.ts";
import { RunningProcess } from "../support/process.ts";
import type { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import { visit } from "../support/visit.ts";

const here = visit();

/** The console as a program of its own: reads lines, prints JSON. */
class Console {
  readonly running: RunningProcess;

  constructor({ routeUrl, dataDir }: System, user: string) {
    const command = ["bun", "client/main.ts", "--route", routeUrl, "--user", user, "--json"];
    const env = { HOME: dataDir, CIM_PASSWORD: PASSWORD };
    this.running = new RunningProcess(command, { env, stdin: "pipe" });
    here.defer(() => this.running.kill());
  }

  /** Resolves once it has been handed so many messages of others; answers their texts. */
  async count(count: number): Promise<string[]> {
    const texts = () => {
      const lines = this.running.output
        .split("\n")
        .filter((line) => line.startsWith("{") && line.endsWith("}"));
      const events = lines.map((line) => JSON.parse(line) as { type: string; text: string });
      return events.filter(({ type }) => type === "message").map(({ text }) => text);
    };
    await until(`the console shows ${count} messages`, () => texts().length >= count, 40_000);
    return texts();
  }
}

describe("two browsers and a console in one conversation", () => {
  test("all read the same, in the same order", async () => {
    const system = await here.system();
    const [ann, bob] = await Promise.all([here.join(system, "ann"), here.join(system, "bob")]);
    const eve = new Console(system, "eve");
    await eve.running.printed('"type":"ready"');
    await ann.write("from ann");
    await bob.count(1);
    await bob.write("von Bob: größer & <b>fett</b>");
    await ann.count(2);
    eve.running.type("来自终端 🚀");
    const all = ["from ann", "von Bob: größer & <b>fett</b>", "来自终端 🚀"];
    expect([await ann.count(3), await bob.count(3), await eve.count(2)]).toEqual([all, all, all.slice(0, 2)]);
    await ann.marked("Sent");
  });

  for (const [what, options] of [
    ["the server", { servers: 1 }],
    ["everything", {}],
  ] as const) {
    test(`lose and double nothing when ${what} is killed and comes back`, async () => {
      const system = await here.system(options);
      const [ann, bob] = await Promise.all([here.join(system, "ann"), here.join(system, "bob")]);
      const eve = new Console(system, "eve");
      await eve.running.printed('"type":"ready"');
      await ann.write("before");
      await bob.count(1);
      await eve.count(1);

      await system.servers[0]!.kill();
      await Promise.all([ann.status("No connection"), bob.status("No connection")]);
      await eve.running.printed('"type":"disconnected"');
      for (const text of ["ann 1", "ann 2", "ann 3"]) await ann.write(text);
      for (const text of ["bob 1", "bob 2"]) await bob.write(text);
      eve.running.type("eve 1");
      expect((await ann.shown()).slice(1)).toEqual(
        ["ann 1", "ann 2", "ann 3"].map((text) => ({ text, mark: "Waiting to be sent" })),
      );
      expect(await ann.page.locator(".status").textContent()).toContain("3 messages waiting");

      await system.servers[0]!.start();
      await Promise.all([ann.status("", 40_000), bob.status("", 40_000)]);
      await Promise.all([ann.marked("Sent"), bob.marked("Sent")]);
      await ann.write("after");
      const [byAnn, byBob, byEve] = [await ann.count(8, 40_000), await bob.count(8), await eve.count(7)];
      expect(byAnn).toEqual(byBob);
      expect(byEve).toEqual(byAnn.filter((text) => text !== "eve 1"));
      const said = ["after", "ann 1", "ann 2", "ann 3", "before", "bob 1", "bob 2", "eve 1"];
      expect([...byAnn].sort()).toEqual(said);
      expect(byAnn.filter((text) => text.startsWith("ann"))).toEqual(["ann 1", "ann 2", "ann 3"]);
    });
  }

  test("what was written while the server was gone survives a reload of the page, and arrives once", async () => {
    const system = await here.system({ servers: 1 });
    const [ann, bob] = await Promise.all([here.join(system, "ann"), here.join(system, "bob")]);
    await system.servers[0]!.kill();
    await ann.status("No connection");
    for (const text of ["one", "two"]) await ann.write(text);
    await ann.page.reload();
    await ann.status("No connection");
    expect(await ann.shown()).toEqual([
      { text: "one", mark: "Waiting to be sent" },
      { text: "two", mark: "Waiting to be sent" },
    ]);
    await system.servers[0]!.start();
    await ann.status("", 40_000);
    await ann.marked("Sent");
    expect([await bob.count(2, 40_000), await ann.texts()]).toEqual([
      ["one", "two"],
      ["one", "two"],
    ]);
  });
});

test("a page that does not read while much is said misses nothing of it", async () => {
  const system = await here.system({ env: { CIM_MAX_MESSAGES_PER_SECOND: "10000" } });
  const ann = await here.join(system, "ann");
  await using bob = await join(system, "bob");
  await bob.sendTo((await bob.findUser("ann"))!.userId, "look here meanwhile");
  await ann.open("bob");
  await ann.count(1);
  // While a dialog is open, nothing of the page runs, and nothing is read: ten times what a server keeps for it.
  const opened = new Promise<Dialog>((resolve) => ann.page.once("dialog", resolve));
  const blocked = ann.page.evaluate(() => alert("wait"));
  const dialog = await opened;
  const filler = "x".repeat(50_000);
  await Promise.all(Array.from({ length: 200 }, (_, i) => bob.sendAll(`number ${i + 1} ${filler}`)));
  await dialog.accept();
  await blocked;
  await until("all of it is there", async () => (await ann.page.title()) === "(200) CIM", 60_000);
  await ann.open("Everyone");
  const last = (await ann.texts()).slice(-5).map((text) => text.slice(0, 10));
  expect(last).toEqual(["number 196", "number 197", "number 198", "number 199", "number 200"]);
});

describe("a private message", () => {
  test("counts as unread until it is looked at, and is marked as delivered", async () => {
    const system = await here.system();
    const [ann, bob] = await Promise.all([here.join(system, "ann"), here.join(system, "bob")]);
    await ann.open("bob");
    await ann.write("psst");
    await ann.write("only for you");
    await ann.marked("Delivered");
    const row = bob.page.getByRole("navigation").getByRole("button", { name: /ann.*2 unread messages/ });
    await row.waitFor();
    expect(await bob.page.title()).toBe("(2) CIM");
    await bob.open("ann");
    expect(await bob.count(2)).toEqual(["psst", "only for you"]);
    await until("nothing is unread", async () => (await bob.page.title()) === "CIM");
    // Looked at here counts after a reload as well.
    await bob.page.reload();
    await bob.ready();
    await bob.open("ann");
    expect([await bob.count(2), await bob.page.title()]).toEqual([["psst", "only for you"], "CIM"]);
  });

  test("to somebody who is away is marked as stored, and as delivered when there is an answer", async () => {
    const system = await here.system();
    const ann = await here.join(system, "ann");
    const bob = await join(system, "bob");
    await bob.close();
    await ann.page.getByRole("searchbox", { name: "Search people" }).fill("bob");
    await ann.open("bob");
    await ann.write("are you there?");
    await ann.marked("Stored until they are online");
    await using back = await join(system, "bob");
    expect(await new Reader(back).count(1)).toEqual(["are you there?"]);
    await back.sendTo((await back.findUser("ann"))!.userId, "yes");
    await ann.count(2);
    await ann.marked("Delivered");
  });
});

test("the history comes by scrolling, whole and in order, and new messages leave what is looked at where it is", async () => {
  const system = await here.system();
  await using eve = await join(system, "eve");
  const numbers = Array.from({ length: 220 }, (_, i) => `number ${i + 1}`);
  await Promise.all(numbers.map((text) => eve.sendAll(text)));
  const ann = await here.join(system, "ann");
  const log = ann.page.getByRole("log");
  await ann.count(50);
  await until("the beginning is reached", async () => {
    await log.evaluate((box) => box.scrollTo({ top: 0 }));
    return (await ann.texts())[0] === "number 1";
  });
  expect((await ann.texts()).slice(0, 100)).toEqual(numbers.slice(0, 100));
  const top = await ann.page.getByText("number 1", { exact: true }).boundingBox();
  await eve.sendAll("new");
  await ann.page.getByRole("navigation").getByText("eve: new").waitFor();
  expect(await ann.page.getByText("number 1", { exact: true }).boundingBox()).toEqual(top);
  await ann.page.getByRole("button", { name: "To the latest messages" }).click();
  await ann.page.getByRole("log").getByText("new", { exact: true }).waitFor();
  expect((await ann.texts()).slice(-50)).toEqual([...numbers.slice(-49), "new"]);
});

test("a search goes back through the history and leads to the message", async () => {
  const system = await here.system();
  await using eve = await join(system, "eve");
  await Promise.all(Array.from({ length: 150 }, (_, i) => eve.sendAll(`number ${i + 1}`)));
  const ann = await here.join(system, "ann");
  await ann.count(50);
  await ann.page.getByRole("button", { name: "Search in this conversation" }).click();
  await ann.page.getByRole("searchbox", { name: "Search in this conversation" }).fill("NUMBER 7");
  await ann.page.getByText("11 matches", { exact: true }).waitFor();
  const found = ann.page.getByRole("search").getByRole("listitem");
  expect((await found.allTextContents()).at(-1)).toContain("number 7");
  await found.last().getByRole("button").click();
  await ann.page.locator(".marked").getByText("number 7", { exact: true }).waitFor();
  expect(await ann.page.getByRole("log").getByText("number 7", { exact: true }).isVisible()).toBe(true);
});

test("people online are listed page by page, and found by their names", async () => {
  const system = await here.system({ env: { CIM_AUTH: "open" } });
  const names = Array.from({ length: 60 }, (_, i) => `user ${String(i).padStart(2, "0")}`);
  const crowd = await Promise.all(names.map((name) => join(system, name, { password: undefined })));
  here.defer(() => Promise.all(crowd.map((client) => client.detach())));
  const ann = await here.join(system, "ann");
  const rows = ann.page.getByRole("list", { name: "Online now" }).getByRole("listitem");
  await until("a page of people", async () => (await rows.count()) === 50);
  await ann.page.getByRole("button", { name: "Show more" }).click();
  await until("all people", async () => (await rows.count()) === 60);
  await ann.page.getByRole("searchbox", { name: "Search people" }).fill("user 4");
  await until("those found", async () => (await rows.count()) === 10);
});
