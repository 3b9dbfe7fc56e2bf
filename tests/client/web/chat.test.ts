/** The chat behind the page, on a real route and server, without a browser. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ConnectOptions } from "../../../client/sdk/client.ts";
import { Chat } from "../../../client/web/chat.ts";
import { tooLong } from "../../../client/web/conversations.ts";
import { type Box, Memory } from "../../../client/web/memory.ts";
import { CimError } from "../../../proto/status.ts";
import { until } from "../../support/until.ts";
import { Here, read } from "../sdk/here.ts";

const PASSWORD = "password1";

let here: Here;
const chats: Chat[] = [];

beforeEach(async () => {
  here = await Here.open();
});
afterEach(async () => {
  for (const chat of chats.splice(0)) await chat.signOut();
  await here[Symbol.asyncDispose]();
});

function shelf(): Box {
  const items = new Map<string, string>();
  return {
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, value) => void items.set(name, value),
    removeItem: (name) => void items.delete(name),
  };
}

/** A page, in a browser of its own unless one is given. */
function open(
  memory = new Memory({ local: shelf(), tab: shelf(), prefix: "/" }),
  sdk: Partial<ConnectOptions> = {},
  at = here,
) {
  const options = { backoff: () => 5, ...sdk };
  const chat = new Chat({ routeUrl: at.config.routeUrl, memory, changed: () => {}, sdk: options });
  chats.push(chat);
  return { chat, memory };
}

/** A page somebody signed up on; `vanish` is what happens to a page that is closed. */
async function signedUp(userName: string) {
  const gone = () => Promise.reject(new Error("the page is gone"));
  let network = fetch as (request: Request) => Promise<Response>;
  const page = open(undefined, { fetch: (request) => network(request) });
  await page.chat.signIn({ userName, password: PASSWORD, create: true, forLong: true });
  const vanish = () => {
    network = gone;
  };
  return { ...page, vanish };
}

const texts = (chat: Chat) => chat.conversations.open!.entries.map(({ text }) => text);
const statusOf = (refused: Promise<unknown>) =>
  refused.then(
    () => "fine",
    (error: unknown) => (error instanceof CimError ? error.status : String(error)),
  );

describe("signing in", () => {
  test("with a wrong name or password is refused, and nobody is signed in", async () => {
    await here.server();
    await here.client("ann").then((client) => client.close());
    const { chat, memory } = open();
    const attempt = (userName: string, password: string, create: boolean) =>
      statusOf(chat.signIn({ userName, password, create, forLong: true }));
    expect([
      await attempt("ann", "not this one", false),
      await attempt("ann", "not this one", true),
      await attempt("nobody", PASSWORD, false),
      await attempt("new", "short", true),
    ]).toEqual(["ACCOUNT_MISMATCH", "ACCOUNT_MISMATCH", "ACCOUNT_MISMATCH", "INVALID"]);
    expect([chat.me, memory.session]).toEqual([null, null]);
  });

  test("needs no password where the route asks for none", async () => {
    await using openHere = await Here.open({ CIM_AUTH: "open" });
    await openHere.server();
    const { chat } = open(undefined, {}, openHere);
    await chat.signIn({ userName: "ann", password: "", create: true, forLong: true });
    expect(chat.me?.userName).toBe("ann");
    await chat.signOut();
  });

  test("without a server says so", async () => {
    const { chat } = open();
    expect(
      await statusOf(chat.signIn({ userName: "ann", password: PASSWORD, create: true, forLong: true })),
    ).toBe("NO_SERVER");
  });
});

describe("a session", () => {
  test("is taken up by the next page, which waits for a server as long as it takes", async () => {
    const server = await here.server();
    const { memory, vanish } = await signedUp("ann");
    vanish();
    const { chat } = open(memory, { backoff: () => 60 * 60 * 1000 });
    await server.close();
    const starting = chat.start();
    await until("it waits", () => chat.link.state === "waiting");
    expect(chat.me?.userName).toBe("ann");
    await here.server();
    chat.hurry();
    await starting;
    expect(chat.link).toEqual({ state: "ready" });
  });

  test("that was ended elsewhere is over, and what was not sent is kept for the next", async () => {
    const server = await here.server();
    const { chat, memory, vanish } = await signedUp("ann");
    const { userId } = chat.me!;
    await server.close();
    await until("the connection is lost", () => chat.link.state !== "ready");
    chat.conversations.send(chat.conversations.open!, "later");
    const { token } = memory.session!;
    await fetch(`${here.config.routeUrl}/offLine`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ userId }),
    });
    vanish();
    await here.server();
    const next = open(memory);
    await next.chat.start();
    expect([next.chat.me, next.chat.over?.reason, memory.session]).toEqual([null, "refused", null]);
    expect(memory.unsent(userId).map(({ text }) => text)).toEqual(["later"]);
  });

  test("that is signed out of is over at the route as well", async () => {
    await here.server();
    const { chat, memory } = await signedUp("ann");
    const { token } = memory.session!;
    await chat.signOut();
    const answer = await fetch(`${here.config.routeUrl}/onlineUser`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect([((await answer.json()) as { code: string }).code, memory.session, chat.me]).toEqual([
      "9110",
      null,
      null,
    ]);
  });
});

describe("messages", () => {
  test("that were not sent when the page went are sent once by the next", async () => {
    const server = await here.server();
    const { chat, memory, vanish } = await signedUp("ann");
    await server.close();
    await until("the connection is lost", () => chat.link.state !== "ready");
    for (const text of ["one", "two", "three"]) chat.conversations.send(chat.conversations.open!, text);
    expect(chat.conversations.pending).toBe(3);
    vanish();
    const next = open(memory);
    await here.server();
    await next.chat.start();
    await until("all is sent", () => texts(next.chat).length === 3 && next.chat.conversations.pending === 0);
    await using bob = await here.client("bob");
    const history = await bob.history("all");
    expect([history.map(({ text }) => text), texts(next.chat)]).toEqual([
      ["one", "two", "three"],
      ["one", "two", "three"],
    ]);
    expect(memory.unsent(next.chat.me!.userId)).toEqual([]);
  });

  test("that the route refuses say so, and can be tried again or given up", async () => {
    await here.server();
    const { chat, memory } = await signedUp("ann");
    const nobody = chat.conversations.with({ userId: 4711, userName: "nobody" });
    chat.conversations.show(nobody);
    chat.conversations.send(nobody, "is anybody there?");
    await until("it fails", () => nobody.waiting[0]?.mark === "failed");
    const [entry] = nobody.waiting;
    chat.conversations.again(nobody, entry!);
    expect(entry!.mark).toBe("queued");
    await until("it fails again", () => entry!.mark === "failed");
    expect(entry!.error?.message).toMatch(/4711/);
    chat.conversations.drop(nobody, entry!);
    expect([nobody.waiting, memory.unsent(chat.me!.userId)]).toEqual([[], []]);
  });

  test("that come while another conversation is open are unread, and known after a reload", async () => {
    await here.server();
    await using bob = await here.client("bob");
    const { chat, memory } = await signedUp("ann");
    await bob.sendTo(chat.me!.userId, "psst");
    await until("it is there", () => chat.conversations.unread === 1);
    const next = open(memory);
    await next.chat.start();
    await until("it is there again", () => next.chat.conversations.unread === 1);
    const thread = next.chat.conversations.with({ userId: bob.userId, userName: "bob" });
    next.chat.conversations.show(thread);
    next.chat.conversations.seen(thread);
    expect([next.chat.conversations.unread, thread.newAfter]).toEqual([0, 0]);
    next.chat.conversations.send(thread, "yes?");
    expect(await read(bob, 1)).toEqual(["yes?"]);
  });

  test("are found back to the beginning of the history", async () => {
    await here.server();
    await using bob = await here.client("bob");
    await Promise.all(Array.from({ length: 120 }, (_, i) => bob.sendAll(`Number ${i + 1}`)));
    const { chat } = await signedUp("ann");
    await until("the newest are there", () => chat.conversations.open!.loaded);
    const found = await chat.conversations.search(chat.conversations.open!, "number 1");
    expect([found.length, found[0]!.text, found.at(-1)!.text, chat.conversations.open!.complete]).toEqual([
      32,
      "Number 120",
      "Number 1",
      true,
    ]);
  });

  test("of any size that fits are sent, and larger ones are told from them before", () => {
    expect([tooLong("x".repeat(61440)), tooLong("文".repeat(20481))]).toEqual([
      null,
      { bytes: 61443, limit: 61440 },
    ]);
  });
});
