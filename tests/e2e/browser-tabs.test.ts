/** One account in several tabs, browsers and programs, under each login policy. */
import { describe, expect, test } from "bun:test";
import { Person } from "../support/browser.ts";
import { join, PASSWORD } from "../support/chat.ts";
import { until } from "../support/until.ts";
import { visit } from "../support/visit.ts";

const here = visit();
const OTHER_TAB = "This chat goes on in another tab.";
const OTHER_DEVICE = "This account was signed in on another device.";

for (const policy of ["reject", "kick", "multi"]) {
  test(`a second tab of the same browser takes the session over, and gives it back, under ${policy}`, async () => {
    const system = await here.system({ env: { CIM_LOGIN_POLICY: policy } });
    const first = await here.join(system, "ann");
    await using eve = await join(system, "eve");
    await first.write("from the first tab");
    await first.marked("Sent");

    const second = here.watch(await Person.openTab(first.page.context(), system.routeUrl, "ann"));
    await second.ready();
    await first.page.getByRole("dialog", { name: OTHER_TAB }).waitFor();
    await eve.sendAll("to whichever is there");
    await second.count(2);
    await second.write("from the second tab");
    await second.marked("Sent");

    await first.page.getByRole("button", { name: "Use it here" }).click();
    await second.page.getByRole("dialog", { name: OTHER_TAB }).waitFor();
    await first.ready();
    expect(await first.count(3)).toEqual([
      "from the first tab",
      "to whichever is there",
      "from the second tab",
    ]);
  });
}

test("a tab that is looked at again takes the session back by itself", async () => {
  const system = await here.system();
  const first = await here.join(system, "ann");
  const second = here.watch(await Person.openTab(first.page.context(), system.routeUrl, "ann"));
  await second.ready();
  await first.page.getByRole("dialog", { name: OTHER_TAB }).waitFor();
  // Chromium without a window calls every tab visible: what is left of changing tabs is the event.
  await first.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await first.page.getByRole("dialog").waitFor({ state: "detached" });
  await first.ready();
  await second.page.getByRole("dialog", { name: OTHER_TAB }).waitFor();
});

test("signing out in one tab leaves none of the account behind in another", async () => {
  const system = await here.system();
  const first = await here.join(system, "ann");
  const second = here.watch(await Person.openTab(first.page.context(), system.routeUrl, "ann"));
  await second.ready();
  await second.page.getByRole("button", { name: "Sign out" }).click();
  await second.page.getByLabel("Password", { exact: true }).waitFor();
  await first.page.getByRole("button", { name: "Use it here" }).click();
  await first.page.getByLabel("Password", { exact: true }).waitFor();
  const kept = await first.page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  expect(kept).not.toContain("cim1.");
});

describe("somebody who is signed in with another browser", () => {
  test("keeps the session under reject, and the newcomer is told so", async () => {
    const system = await here.system({ env: { CIM_LOGIN_POLICY: "reject" } });
    const first = await here.join(system, "ann");
    const second = here.watch(await Person.come(here.browser, system.routeUrl, "ann"));
    await second.fillIn("Sign in");
    const said = second.page.getByRole("alert").getByText("This account is signed in elsewhere.");
    await said.waitFor();
    await first.write("still here");
    await first.marked("Sent");
  });

  test("loses the session under kick, is told so, and may take it back", async () => {
    const system = await here.system({ env: { CIM_LOGIN_POLICY: "kick" } });
    const first = await here.join(system, "ann");
    const second = here.watch(await Person.come(here.browser, system.routeUrl, "ann"));
    await second.signIn();
    await first.page.getByRole("dialog", { name: OTHER_DEVICE }).waitFor();
    await first.page.getByRole("button", { name: "Use it here" }).click();
    await first.ready();
    await second.page.getByRole("dialog", { name: OTHER_DEVICE }).waitFor();
  });

  test("has both under multi, and each shows what was sent from the other", async () => {
    const system = await here.system({ env: { CIM_LOGIN_POLICY: "multi" } });
    const first = await here.join(system, "ann");
    const second = here.watch(await Person.come(here.browser, system.routeUrl, "ann"));
    await second.signIn();
    await first.write("from the first");
    await second.count(1);
    await second.write("from the second");
    const both = ["from the first", "from the second"];
    expect([await first.count(2), await second.count(2)]).toEqual([both, both]);
    await using bob = await join(system, "bob", { password: PASSWORD });
    await bob.sendTo((await bob.findUser("ann"))!.userId, "hi");
    for (const person of [first, second]) {
      await until("both show it", async () => (await person.page.title()) === "(1) CIM");
    }
  });
});

test("a password is changed with the old one, and is the one to sign in with then", async () => {
  const system = await here.system();
  const ann = await here.join(system, "ann");
  const { page } = ann;
  const dialog = page.getByRole("dialog", { name: "Change password" });
  const change = async (old: string, password: string) => {
    await dialog.getByLabel("Old password").fill(old);
    await dialog.getByLabel("New password").fill(password);
    await page.keyboard.press("Enter");
  };
  await page.getByRole("button", { name: "Change password" }).click();
  await change("not the old one", "another password");
  await dialog.getByText("That is not the old password.").waitFor();
  await change(PASSWORD, "another password");
  await dialog.getByText("The password is changed.").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await ann.write("still signed in");
  await ann.marked("Sent");
  await page.getByRole("button", { name: "Sign out" }).click();
  await ann.fillIn("Sign in");
  await page.getByText("Name and password do not match.").waitFor();
  await ann.fillIn("Sign in", "another password");
  await ann.ready();
});

test("without staying signed in, a reload keeps the session and a new tab does not have it", async () => {
  const system = await here.system();
  const ann = here.watch(await Person.come(here.browser, system.routeUrl, "ann"));
  await ann.page.getByLabel("Stay signed in").uncheck();
  await ann.register();
  await ann.page.reload();
  await ann.ready();
  const second = here.watch(await Person.openTab(ann.page.context(), system.routeUrl, "ann"));
  await second.page.getByLabel("Password", { exact: true }).waitFor();
  expect(await ann.page.evaluate(() => JSON.stringify(localStorage))).not.toContain("cim1.");
});
