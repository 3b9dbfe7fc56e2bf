import { describe, expect, test } from "bun:test";
import { type Box, Memory } from "../../../client/web/memory.ts";

class Shelf implements Box {
  readonly items = new Map<string, string>();

  getItem(name: string): string | null {
    return this.items.get(name) ?? null;
  }

  setItem(name: string, value: string): void {
    this.items.set(name, value);
  }

  removeItem(name: string): void {
    this.items.delete(name);
  }
}

const ANN = { userId: 1, userName: "ann", token: "t1", device: "web-1" };
const BOB = { userId: 2, userName: "bob", token: "t2", device: "web-1" };

/** A browser, of which each call opens a tab. */
function browser() {
  const local = new Shelf();
  return { local, openTab: (tab = new Shelf(), prefix = "/") => new Memory({ local, tab, prefix }) };
}

describe("a session", () => {
  test("that is to last is there in a new tab, renewed where it is renewed", () => {
    const { openTab } = browser();
    const first = openTab();
    first.remember(ANN, true);
    const second = openTab();
    expect(second.session).toEqual(ANN);
    second.renew(1, "t1b");
    expect(first.session).toEqual({ ...ANN, token: "t1b" });
  });

  test("that is not to last stays in its tab, over a reload", () => {
    const { openTab, local } = browser();
    const tab = new Shelf();
    openTab(tab).remember(ANN, false);
    const reloaded = openTab(tab);
    reloaded.renew(1, "t1b");
    expect([reloaded.session, openTab().session]).toEqual([{ ...ANN, token: "t1b" }, null]);
    expect([...local.items.values()].join()).not.toContain("t1");
  });

  test("of one account is not mixed up with that of another in the next tab", () => {
    const { openTab } = browser();
    const [tabOfAnn, tabOfBob] = [new Shelf(), new Shelf()];
    openTab(tabOfAnn).remember(ANN, true);
    openTab(tabOfBob).remember(BOB, true);
    openTab(tabOfBob).renew(1, "not bob's");
    expect([openTab(tabOfAnn).session, openTab(tabOfBob).session, openTab().session]).toEqual([
      ANN,
      BOB,
      BOB,
    ]);
  });

  test("that is over is forgotten, and what was not sent is kept for the next", () => {
    const { openTab } = browser();
    const memory = openTab();
    memory.remember(ANN, true);
    const unsent = { conversation: "all", messageId: "m1", text: "hi", at: 1 };
    memory.addUnsent(1, unsent);
    memory.forgetSession(1);
    expect([memory.session, memory.unsent(1)]).toEqual([null, [unsent]]);
  });

  test("that is signed out of leaves nothing of the account", () => {
    const { openTab, local } = browser();
    const memory = openTab();
    memory.remember(ANN, true);
    memory.addUnsent(1, { conversation: "all", messageId: "m1", text: "secret", at: 1 });
    memory.setChats(1, [{ conversation: "p2p:1:2", peer: { userId: 2, userName: "bob" }, read: 3 }]);
    memory.forget(1);
    expect([...local.items]).toEqual([]);
  });
});

test("what was sent is dropped by its name, and the rest keeps its order", () => {
  const memory = browser().openTab();
  for (const messageId of ["a", "b", "c"]) {
    memory.addUnsent(1, { conversation: "all", messageId, text: messageId, at: 1 });
  }
  memory.dropUnsent(1, "b");
  expect(memory.unsent(1).map(({ messageId }) => messageId)).toEqual(["a", "c"]);
});

test("a browser keeps its name as a device", () => {
  const { openTab } = browser();
  const name = openTab().device;
  expect([openTab().device, name]).toEqual([name, expect.stringMatching(/^web-[0-9a-f]{12}$/)]);
});

test("two routes of one host know nothing of one another", () => {
  const { openTab } = browser();
  openTab(new Shelf(), "/a/").remember(ANN, true);
  expect(openTab(new Shelf(), "/b/").session).toBeNull();
});

describe("a browser that", () => {
  test("allows no storage remembers nothing, and nothing fails", () => {
    const memory = new Memory({ local: null, tab: null, prefix: "/" });
    memory.remember(ANN, true);
    memory.addUnsent(1, { conversation: "all", messageId: "a", text: "a", at: 1 });
    expect([memory.session, memory.unsent(1), memory.chats(1)]).toEqual([null, [], []]);
  });

  test("has no room left, or something else in it, is no error", () => {
    const full = new Shelf();
    full.setItem = () => {
      throw new Error("QuotaExceededError");
    };
    full.items.set("cim / chats 1", "{not JSON");
    const memory = new Memory({ local: full, tab: full, prefix: "/" });
    memory.remember(ANN, true);
    expect([memory.session, memory.chats(1)]).toEqual([null, []]);
  });
});
