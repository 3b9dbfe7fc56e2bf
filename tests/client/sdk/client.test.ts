import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { CimError, type Client, connect, type Message, type Status } from "../../../client/sdk/client.ts";
import { systemClock } from "../../../client/sdk/clock.ts";
import { until } from "../../support/until.ts";
import { Faulty } from "./faulty.ts";
import { Here, read } from "./here.ts";

const HOUR_MS = 60 * 60 * 1000;

let here: Here;
let names = 0;
const someone = () => `user${names++}`;
const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => String(from + i));

beforeAll(async () => {
  here = await Here.open();
  await here.server();
});
afterAll(() => here[Symbol.asyncDispose]());

async function collect(client: Client): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of client.messages) messages.push(message);
  return messages;
}

function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "no failure",
    (error) => (error instanceof CimError ? `${error.code} ${error.message}` : `${error}`),
  );
}

describe("a message", () => {
  test("reaches the other with who sent it, when, and its place", async () => {
    await using alice = await here.client(someone());
    await using bob = await here.client(someone());
    const receipt = await alice.sendTo(bob.userId, "你好", { messageId: "mine" });
    const [message] = await firstOf(bob, 1);
    const { conversation, at } = receipt;
    const sender = { userId: alice.userId, userName: alice.userName };
    expect<unknown[]>([receipt, message]).toEqual([
      { conversation, seq: 1, messageId: "mine", at, receiverOnline: true },
      { conversation, seq: 1, messageId: "mine", sender, at, text: "你好", own: false },
    ]);
  });

  test("may be bytes", async () => {
    await using alice = await here.client(someone());
    await using bob = await here.client(someone());
    await alice.sendTo(bob.userId, new Uint8Array([0, 255, 10]));
    const [message] = await firstOf(bob, 1);
    expect([message!.data, message!.text]).toEqual([new Uint8Array([0, 255, 10]), undefined]);
  });

  test("of many sent at once keeps its place", async () => {
    await using alice = await here.client(someone());
    await using bob = await here.client(someone());
    const receipts = await Promise.all(numbers(90).map((text) => alice.sendTo(bob.userId, text)));
    expect([receipts.map(({ seq }) => String(seq)), await read(bob, 90)]).toEqual([numbers(90), numbers(90)]);
  });

  test("for someone offline is stored, and read at the next login", async () => {
    await using alice = await here.client(someone());
    const bob = await here.client(someone());
    const { userName, userId } = bob;
    await bob.close();
    const { receiverOnline } = await alice.sendTo(userId, "later");
    await using again = await here.client(userName);
    expect([receiverOnline, await read(again, 1)]).toEqual([false, ["later"]]);
  });

  test("to everyone reaches those online, and not its sender", async () => {
    await using alice = await here.client(someone());
    await using bob = await here.client(someone());
    await using carol = await here.client(someone());
    const { seq } = await alice.sendAll("hello");
    await bob.sendAll("hi");
    expect([(await firstOf(carol, 2)).map((m) => m.seq), await read(alice, 1), await read(bob, 1)]).toEqual([
      [seq, seq + 1],
      ["hi"],
      ["hello"],
    ]);
  });

  test("with an id that was used before is the same message", async () => {
    await using alice = await here.client(someone());
    await using bob = await here.client(someone());
    const messageId = "order-1";
    const first = await alice.sendTo(bob.userId, "once", { messageId });
    const again = await alice.sendTo(bob.userId, "once", { messageId });
    await alice.sendTo(bob.userId, "then");
    expect([again.seq, await read(bob, 2)]).toEqual([first.seq, ["once", "then"]]);
  });

  test("that nobody may send is refused, with what was wrong", async () => {
    await using alice = await here.client(someone());
    const refusals = [
      alice.sendTo(alice.userId, "me"),
      alice.sendTo(1.5, "half"),
      alice.sendTo(999_999, "nobody"),
      alice.send("p2p:888:999", "not mine"),
      alice.send("everyone", "?"),
      alice.sendAll(""),
      alice.sendAll("\ud800"),
      alice.sendAll("x".repeat(60 * 1024 + 1)),
      alice.sendAll("x", { messageId: "i".repeat(65) }),
    ];
    expect(await Promise.all(refusals.map(failure))).toEqual([
      `3000 userId ${alice.userId}: that is this account itself`,
      "3000 userId 1.5: want a positive integer below 2^53",
      "3000 receiver 999999: there is no such account",
      `9120 user ${alice.userId} is not part of p2p:888:999`,
      '3000 conversation "everyone": want all or p2p:<lower id>:<higher id>',
      "3000 the message is empty",
      "3000 the text has a lone surrogate: want well-formed Unicode",
      "3000 message of 61441 bytes, limit 61440",
      "3000 messageId of 65 characters: want 1 to 64",
    ]);
  });

  test("of the largest size goes through", async () => {
    await using alice = await here.client(someone());
    await using bob = await here.client(someone());
    const largest = "字".repeat(20 * 1024);
    await Promise.all([1, 2, 3].map(() => alice.sendTo(bob.userId, largest)));
    expect(await read(bob, 3)).toEqual([largest, largest, largest]);
  });
});

describe("a lost connection", () => {
  test("is made again with the same token, and nothing is lost or doubled", async () => {
    const [up, down] = [new Faulty(), new Faulty()];
    await using alice = await here.client(someone(), { transport: up.dial });
    await using bob = await here.client(someone(), { transport: down.dial });
    const { token } = bob;
    const sent: Promise<unknown>[] = [];
    const got: string[] = [];
    const reading = (async () => {
      for await (const { text } of bob.messages) if (got.push(text!) === 200) break;
    })();
    for (const text of numbers(200)) {
      sent.push(alice.sendTo(bob.userId, text));
      if (Number(text) % 23 === 0) up.cut();
      if (Number(text) % 31 === 0) down.cut();
      if (Number(text) % 10 === 0) await sent.at(-1);
    }
    await Promise.all(sent);
    await reading;
    expect([got, bob.token === token, up.dials > 5, down.dials > 5]).toEqual([
      numbers(200),
      true,
      true,
      true,
    ]);
  });

  test("before the receipt makes the message be sent again, and stand once", async () => {
    const faulty = new Faulty();
    await using alice = await here.client(someone(), { transport: faulty.dial });
    await using bob = await here.client(someone());
    await alice.sendTo(bob.userId, "first");
    faulty.deaf = true;
    const sending = alice.sendTo(bob.userId, "second");
    await until("the connection is lost with the receipt on it", () => faulty.dials > 1);
    faulty.deaf = false;
    const { seq } = await sending;
    await alice.sendTo(bob.userId, "third");
    expect([seq, await read(bob, 3)]).toEqual([2, ["first", "second", "third"]]);
  });

  test("does not bring back what one sent oneself", async () => {
    const faulty = new Faulty();
    await using alice = await here.client(someone(), { transport: faulty.dial });
    await using bob = await here.client(someone());
    await alice.sendTo(bob.userId, "mine");
    faulty.cut();
    await alice.sendAll("mine as well");
    await bob.sendTo(alice.userId, "yours");
    expect(await read(alice, 1)).toEqual(["yours"]);
  });

  test("is told on the status stream, with the state the client is in", async () => {
    const faulty = new Faulty();
    await using alice = await here.client(someone(), { transport: faulty.dial });
    const told: Status[] = [];
    const watching = (async () => {
      for await (const status of alice.status) if (told.push(status) === 3) break;
    })();
    faulty.cut();
    await watching;
    expect(told).toEqual([
      { type: "state", state: "Reconnecting" },
      { type: "waiting", reason: "lost", text: "cut", attempt: 1, delayMs: 5 },
      { type: "state", state: "Ready" },
    ]);
  });

  test("to a server that is gone leads to another one, with a new token", async () => {
    await using system = await Here.open();
    const first = await system.server();
    await using alice = await system.client("alice");
    await using bob = await system.client("bob");
    const before = [alice.token, alice.sessionId, alice.server.port];
    const second = await system.server();
    await first.close();
    await until("alice is on the other server", () => alice.server.port === second.instance().port);
    await until("bob is, too", () => bob.server.port === second.instance().port && bob.state === "Ready");
    await alice.sendTo(bob.userId, "still there");
    expect(await read(bob, 1)).toEqual(["still there"]);
    expect([alice.token, alice.sessionId, alice.server.port]).not.toContainAnyValues(before);
  });
});

// It came to an end with its token, a week after it was made, unless the password was kept.
test("a session without a password outlasts its token: it has a new one in time, and nothing is lost or doubled", async () => {
  await using first = await here.client(someone());
  await first.detach();
  const days = {
    now: systemClock.now,
    after: (ms: number, run: () => void) => systemClock.after(ms < HOUR_MS ? ms : 30, run),
  };
  const { userName, token } = first;
  const tokens = new Set<string>();
  const waits: Status[] = [];
  await using alice = await connect({
    routeUrl: here.config.routeUrl,
    userName,
    token,
    clock: days,
    onStatus(status) {
      if (status.type === "token") tokens.add(status.token);
      if (status.type === "waiting") waits.push(status);
    },
  });
  await using bob = await here.client(someone());
  const heard = read(alice, 200);
  for (let i = 1; i <= 200; i++) {
    const [sent] = await Promise.all([
      alice.sendTo(bob.userId, `to bob ${i}`),
      bob.sendTo(alice.userId, `to alice ${i}`),
    ]);
    expect(sent.seq).toBeGreaterThan(0);
  }
  await until("there was a new token several times", () => tokens.size > 3);
  const all = (name: string) => numbers(200).map((i) => `to ${name} ${i}`);
  expect([await heard, await read(bob, 200), waits]).toEqual([all("alice"), all("bob"), []]);
});

describe("an application that does not read", () => {
  test("makes the client keep so many messages and no more, and gets all of them later", async () => {
    await using alice = await here.client(someone());
    await using bob = await here.client(someone(), { maxUnread: 20 });
    await Promise.all(numbers(100).map((text) => alice.sendTo(bob.userId, text)));
    expect(await read(bob, 100)).toEqual(numbers(100));
  });

  test("finds after a restart what it had not asked on from", async () => {
    await using alice = await here.client(someone());
    const bob = await here.client(someone());
    await Promise.all(numbers(3).map((text) => alice.sendTo(bob.userId, text)));
    expect(await read(bob, 2)).toEqual(["1", "2"]);
    // As a program that crashes: what was acknowledged is "1".
    await bob.messages[Symbol.asyncIterator]().next();
    await until("the acknowledgement left", () => true);
    await bob.close();
    await using again = await here.client(bob.userName);
    await alice.sendTo(bob.userId, "4");
    expect(await read(again, 1)).toEqual(["4"]);
  });
});

test("a program that keeps its cursors reads each message once, wherever it was killed", async () => {
  await using alice = await here.client(someone());
  const userName = someone();
  const kept = new Map<string, number>();
  const done: string[] = [];
  const options = () => ({
    cursors: {
      load: async () => Object.fromEntries(kept),
      save: async () => {},
    },
  });
  const bob = await here.client(userName, options());
  const { userId } = bob;
  await bob.close();
  await Promise.all(numbers(50).map((text) => alice.sendTo(userId, text)));
  while (done.length < 50) {
    const life = await here.client(userName, options());
    let count = 0;
    for await (const { text, conversation, seq } of life.messages) {
      // One step, as in a transaction: the effect, and how far it got.
      done.push(text!);
      kept.set(conversation, seq);
      if (++count === 7) break;
      if (done.length === 50) break;
    }
    // Nothing is acknowledged any more, as if it had crashed.
    await life.detach();
  }
  expect(done).toEqual(numbers(50));
});

describe("the end", () => {
  test("of a client comes at once, any number of times, and says so", async () => {
    const alice = await here.client(someone());
    const messages = collect(alice);
    const waiting = failure(alice.sendAll("last"));
    await Promise.all([alice.close(), alice.close()]);
    await alice.close();
    expect([await alice.closed, alice.state, await messages, await failure(alice.sendAll("more"))]).toEqual([
      { reason: "closed", text: "the client is closed" },
      "Closed",
      [],
      "7200 the client is closed",
    ]);
    expect(await waiting).toMatch(/^no failure$|^7200 the client is closed$/);
  });

  test("by close logs out: presence shows it, and the token is worth nothing", async () => {
    const alice = await here.client(someone());
    await using bob = await here.client(someone());
    await alice.close();
    const online = await Array.fromAsync(bob.onlineUsers());
    const { token, userName } = alice;
    const { routeUrl } = here.config;
    const back = await failure(connect({ routeUrl, userName, token }));
    expect([online.map(({ userId }) => userId).includes(alice.userId), back]).toEqual([
      false,
      "9110 the token's session was logged out",
    ]);
  });

  test("by detach leaves a token to come back with, without a password", async () => {
    const alice = await here.client(someone());
    const { token, userName } = alice;
    await alice.detach();
    await using back = await connect({ routeUrl: here.config.routeUrl, userName, token });
    expect([(await alice.closed).reason, back.userId, back.sessionId === alice.sessionId]).toEqual([
      "detached",
      alice.userId,
      false,
    ]);
  });

  test("comes when the session is taken over, and says why", async () => {
    const alice = await here.client(someone());
    const { routeUrl } = here.config;
    await using other = await connect({ routeUrl, userName: alice.userName, token: alice.token });
    const { reason } = await alice.closed;
    expect([reason, alice.state, other.state]).toEqual(["replaced", "Failed", "Ready"]);
  });
});

describe("a login", () => {
  test("with a wrong password, of a name unknown, or a second one is refused", async () => {
    await using alice = await here.client(someone());
    const { userName } = alice;
    const patience = { register: false, loginAttempts: 2 };
    expect([
      await failure(here.client(userName, { ...patience, password: "wrong password" })),
      await failure(here.client(someone(), patience)),
      await failure(here.client(userName, patience)),
    ]).toEqual([
      "9100 Account and credentials do not match",
      "9100 Account and credentials do not match",
      `5000 user ${alice.userId} is logged in already`,
    ]);
  });

  test("with nobody there fails in bounded time and says what was tried", async () => {
    const nobody = connect({
      routeUrl: "http://127.0.0.1:1",
      userName: "a",
      password: "password1",
      backoff: () => 1,
    });
    expect(await failure(nobody)).toStartWith("8000 no answer from http://127.0.0.1:1/login: ");
    expect(await failure(connect({ routeUrl: "127.0.0.1", userName: "a" }))).toBe(
      "3000 routeUrl 127.0.0.1: want an http:// or https:// URL",
    );
  });

  test("with a token that is refused uses the password, and tells the new token", async () => {
    const alice = await here.client(someone());
    await alice.close();
    await using again = await here.client(alice.userName, { token: alice.token });
    expect([again.userId, again.token === alice.token]).toEqual([alice.userId, false]);
  });
});

test("a password that was changed is the one that is logged in with", async () => {
  const alice = await here.client(someone());
  const { userName } = alice;
  const changes = [
    await failure(alice.changePassword("another password")),
    await failure(alice.changePassword("another password", "password1")),
  ];
  await alice.close();
  const login = (password: string) =>
    failure(connect({ routeUrl: here.config.routeUrl, userName, password }));
  expect([...changes, await login("password1"), await login("another password")]).toEqual([
    "9100 oldPassword is missing: this account has one",
    "no failure",
    expect.stringMatching(/^9100 /),
    "no failure",
  ]);
});

test("what can be looked up: who is online, a name, the history", async () => {
  await using alice = await here.client(`${someone()} 张三`);
  await using bob = await here.client(someone());
  await alice.sendTo(bob.userId, "one");
  await bob.sendTo(alice.userId, new Uint8Array([1]));
  await bob.sendTo(alice.userId, "three");
  const { conversation } = (await firstOf(bob, 1))[0]!;
  const online = await Array.fromAsync(bob.onlineUsers({ prefix: alice.userName.slice(0, -1) }));
  const page = await alice.history(conversation, { before: 3, limit: 5 });
  const who = { userId: alice.userId, userName: alice.userName };
  expect([online, await bob.findUser(alice.userName), await bob.findUser("no such name")]).toEqual([
    [who],
    who,
    null,
  ]);
  expect(page.map(({ seq, text, data, own }) => ({ seq, text, data, own }))).toEqual([
    { seq: 1, text: "one", data: undefined, own: true },
    { seq: 2, text: undefined, data: new Uint8Array([1]), own: false },
  ]);
});

test("under `multi` a device sees what the account sends from another", async () => {
  await using system = await Here.open({ CIM_LOGIN_POLICY: "multi" });
  await system.server();
  await using phone = await system.client("alice", { device: "phone" });
  await using desk = await system.client("alice", { device: "desk" });
  await using bob = await system.client("bob");
  await phone.sendTo(bob.userId, "from my phone");
  await bob.sendTo(phone.userId, "for both");
  const seen = (await firstOf(desk, 2)).map(({ text, own }) => [text, own]);
  expect([seen, await read(phone, 1)]).toEqual([
    [
      ["from my phone", true],
      ["for both", false],
    ],
    ["for both"],
  ]);
});

async function firstOf(client: Client, count: number): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of client.messages) if (messages.push(message) === count) break;
  return messages;
}
