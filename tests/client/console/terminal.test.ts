import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { until } from "../../support/until.ts";
import { Here, read } from "../sdk/here.ts";
import { Consoles } from "./consoles.ts";
import { Glass } from "./glass.ts";

const MAIN = join(import.meta.dir, "../../../client/main.ts");
const CTRL_C = "\x03";
const CTRL_D = "\x04";
const LEFT = "\x1b[D";
const UP = "\x1b[A";
const PASTE = "\x1b[200~";
const PASTED = "\x1b[201~";

let here: Here;
let consoles: Consoles;
let names = 0;
const someone = () => `name${names++}`;

beforeAll(async () => {
  here = await Here.open();
  await here.server();
  consoles = new Consoles(here.config.routeUrl);
});
afterAll(async () => {
  consoles[Symbol.dispose]();
  await here[Symbol.asyncDispose]();
});

function open(user: string, env: Record<string, string> = {}): Glass {
  const { PATH, HOME } = process.env as Record<string, string>;
  const all = { PATH: PATH!, HOME: HOME!, TERM: "xterm", ...consoles.env, CIM_PASSWORD: "password1", ...env };
  const agreed = new Glass([process.execPath, MAIN, "--route", here.config.routeUrl, "--user", user], all);
  return agreed;
}

/** A console of a new account, ready. */
async function ready(user: string, env: Record<string, string> = {}): Promise<Glass> {
  const glass = open(user, env);
  await glass.shows("[y/N]");
  glass.type("y\r");
  await glass.shows("You are");
  await glass.shows("> ");
  return glass;
}

test("a new name is asked for its password, which is not shown, twice, and registered after asking", async () => {
  const me = someone();
  await using glass = open(me, { CIM_PASSWORD: "" });
  await glass.shows("Password:");
  glass.type("open sesame\r");
  await glass.shows("[y/N]");
  glass.type("y\r");
  await glass.shows("again:");
  glass.type("open sesame\r");
  await glass.shows("Registered");
  const { lines } = glass;
  expect([lines.slice(0, 3), lines.join("\n").includes("sesame")]).toEqual([
    [
      "Password:",
      `There is no ${me} with this password. Register it as a new name? [y/N] y`,
      "The same password again:",
    ],
    false,
  ]);
});

test("Ctrl-C at a question, or no for an answer, ends it before anything was registered", async () => {
  const me = someone();
  await using first = open(me, { CIM_PASSWORD: "" });
  await first.shows("Password:");
  first.type(CTRL_C);
  const codes = [await first.exited];
  await using second = open(me);
  await second.shows("[y/N]");
  second.type("n\r");
  await second.shows("was not registered");
  codes.push(await second.exited);
  expect([codes, first.lines.at(-1), second.lines.at(-1)]).toEqual([
    [1, 1],
    "cim-client: Called off.",
    `cim-client: ${me} was not registered.`,
  ]);
});

// It ended, and whoever had mistyped a password started again.
test("a password that is mistyped, too short or not the same twice is asked for again", async () => {
  const me = someone();
  await using glass = open(me, { CIM_PASSWORD: "" });
  const answers = [
    ["Password:", "mistyped"],
    ["[y/N]", "n"],
    ["Password:", "short"],
    ["[y/N]", "y"],
    ["new password:", "open sesame"],
    ["again:", "open sesam"],
    ["new password:", "open sesame"],
    ["again:", "open sesame"],
  ] as const;
  for (const [question, answer] of answers) {
    await until(`it asks ${question}`, () => glass.lines.at(-1)?.trimEnd().endsWith(question));
    glass.type(`${answer}\r`);
    await until("it goes on", () => !glass.lines.at(-1)?.trimEnd().endsWith(question));
  }
  await glass.shows("Registered");
  const question = `There is no ${me} with this password. Register it as a new name? [y/N]`;
  expect(glass.lines.slice(0, 10)).toEqual([
    "Password:",
    `${question} n`,
    "Password:",
    `${question} y`,
    "That is too short: a password has at least 8 characters.",
    "A new password:",
    "The same password again:",
    "The two passwords differ.",
    "A new password:",
    "The same password again:",
  ]);
});

test("a password is changed when one asks for that, and the next login needs the new one", async () => {
  const me = someone();
  const login = async (password: string, ...flags: string[]) => {
    const { PATH, HOME } = process.env as Record<string, string>;
    // Nothing is remembered of an earlier one.
    const env = {
      PATH: PATH!,
      HOME: HOME!,
      TERM: "xterm",
      XDG_DATA_HOME: consoles.home,
      CIM_PASSWORD: password,
    };
    const XDG_CONFIG_HOME = join(consoles.home, crypto.randomUUID());
    const command = [process.execPath, MAIN, "--route", here.config.routeUrl, "--user", me, ...flags];
    return new Glass(command, { ...env, XDG_CONFIG_HOME });
  };
  await (await here.client(me, { password: "open sesame" })).close();
  await using glass = await login("open sesame", "--new-password");
  const answers = [
    ["none):", "mistyped"],
    ["new password:", "close sesame"],
    ["again:", "close sesame"],
    ["none):", "open sesame"],
    ["new password:", "close sesame"],
    ["again:", "close sesame"],
  ] as const;
  for (const [question, answer] of answers) {
    await until(`it asks ${question}`, () => glass.lines.at(-1)?.trimEnd().endsWith(question));
    glass.type(`${answer}\r`);
    await until("it goes on", () => !glass.lines.at(-1)?.trimEnd().endsWith(question));
  }
  await glass.shows("The password is changed.");
  await glass.shows("You are");
  glass.type(":logout\r");
  const code = await glass.exited;
  await using again = await login("close sesame");
  await again.shows("You are");
  expect([code, glass.lines.filter((line) => line.startsWith("That is not"))]).toEqual([
    0,
    ["That is not the old password."],
  ]);
});

test("a start that takes a while says what it waits for", async () => {
  using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const route = `http://127.0.0.1:${silent.port}`;
  const env = { PATH: process.env.PATH!, TERM: "xterm", ...consoles.env };
  await using glass = new Glass([process.execPath, MAIN, "--route", route, "--user", someone()], env);
  await glass.shows(`Connecting to ${route}`);
});

test("an incoming message appears above the line being typed, which stays as it is with its cursor", async () => {
  const me = someone();
  await using alice = await here.client(someone());
  await using glass = await ready(me, { NO_COLOR: "1" });
  const long = `${"a long line that wraps ".repeat(4)}你好`;
  glass.type(`${long}${LEFT}${LEFT}`);
  await glass.shows("你好");
  const { userId } = (await alice.findUser(me))!;
  await alice.sendTo(userId, "first");
  await alice.sendTo(userId, "second");
  await glass.shows("second");
  const said = `${alice.userName}(${alice.userId}) → you`;
  const { lines } = glass;
  const [one, two, ...input] = lines.slice(lines.findIndex((line) => line.includes(said)));
  expect([one!.slice(9), two!.slice(9), input.join(""), glass.input.endsWith("|你好")]).toEqual([
    `${said}: first`,
    `${said}: second`,
    `> ${long}`,
    true,
  ]);
});

test("what is typed is sent, with what became of it below, and is there again with the up key", async () => {
  await using bob = await here.client(someone());
  await using glass = await ready(someone(), { NO_COLOR: "1" });
  glass.type(`${bob.userName};;hello 世界\r`);
  const text = await read(bob, 1);
  await glass.shows("accepted");
  glass.type(UP);
  await glass.shows("世界\n  ✓");
  expect([text, glass.lines.slice(-3)]).toEqual([
    ["hello 世界"],
    [
      `> ${bob.userName};;hello 世界`,
      `  ✓ accepted: to ${bob.userName}(${bob.userId}), #1`,
      `> ${bob.userName};;hello 世界`,
    ],
  ]);
});

// Each line was sent by itself, one that looked like a command done, and the last one left behind.
test("what is pasted is one message, line breaks and tabs in it, and sent with Enter", async () => {
  await using bob = await here.client(someone());
  await using glass = await ready(someone());
  const pasted = "first\r\n\tsecond\r:q\n\n你好 🚀 \x07last\n";
  glass.type(`${bob.userName};;(`);
  await glass.shows(";;(");
  glass.type(`)${LEFT}${PASTE}${pasted}${PASTED}`);
  await glass.shows("first␊␉second␊:q␊␊你好 🚀 last)");
  glass.type("\r");
  const texts = await read(bob, 1);
  // Again as it was.
  await glass.shows("accepted");
  glass.type(`${UP}\r`);
  const text = "(first\n\tsecond\n:q\n\n你好 🚀 last)";
  expect([...texts, ...(await read(bob, 1))]).toEqual([text, text]);
});

test("the longest message can be pasted, and Ctrl-C ends a paste whose end never comes", async () => {
  await using bob = await here.client(someone());
  await using glass = await ready(someone());
  const long = "x".repeat(60_000);
  glass.type(`${bob.userName};;${PASTE}${long}${PASTED}\r`);
  const [text] = await read(bob, 1);
  await glass.shows("accepted");
  glass.type(`${PASTE}lost`);
  glass.type(CTRL_C);
  await glass.shows("lost");
  glass.type(CTRL_C);
  await glass.shows("Ctrl-C again quits.");
  expect([text?.length, glass.input]).toEqual([60_000, "> |"]);
});

test("Tab completes a command, :ai changes the prompt", async () => {
  await using glass = await ready(someone());
  glass.type(":ai\r");
  await glass.shows("nothing is sent until");
  glass.type(":qa\t");
  await glass.shows("> :qai");
  glass.type("\r");
  await glass.shows("people again");
  expect(glass.input).toBe("> |");
});

test("Tab completes the name of one who is online, whatever the case, and of one heard of earlier", async () => {
  const me = someone();
  await using zoe = await here.client("Zoë Müller");
  const first = await ready(me);
  first.type("zo\t");
  await first.shows("> zo");
  first.type("\x15Zo\t");
  await first.shows("> Zoë Müller;;");
  first.type("hello\r");
  await first.shows("accepted");
  first.type(":q\r");
  await first.exited;
  await zoe.close();
  await using again = open(me);
  await again.shows("You are");
  again.type("zo\t");
  await again.shows("> Zoë Müller;;");
  expect(again.input).toBe("> Zoë Müller;;|");
});

// It was gone without a word, or refused after half a minute.
test("what is typed while there is no connection is kept when one quits, and sent at the next start", async () => {
  await using system = await Here.open();
  const server = await system.server();
  await using bob = await system.client("bob");
  const start = () => {
    const { PATH, HOME } = process.env as Record<string, string>;
    const env = { PATH: PATH!, HOME: HOME!, TERM: "xterm", ...consoles.env, CIM_PASSWORD: "password1" };
    return new Glass([process.execPath, MAIN, "--route", system.config.routeUrl, "--user", "alice"], env);
  };
  const { port, httpPort } = server.instance();
  const first = start();
  await first.shows("[y/N]");
  first.type("y\r");
  await first.shows("You are");
  first.type("bob;;one\r");
  await first.shows("accepted");
  await server.close();
  await first.shows("connection lost");
  first.type("bob;;two\r");
  await first.shows("not connected");
  first.type("bob;;three\r:q\r");
  await first.shows("2 messages have no receipt yet: kept, and sent at the next start.");
  const code = await first.exited;
  await system.server({ port, httpPort });
  await using again = start();
  expect([code, await read(bob, 3)]).toEqual([0, ["one", "two", "three"]]);
  await again.shows("accepted");
});

// By itself it waits longer and longer: so many tries would take minutes.
test("Enter tries at once to connect again, each time it is pressed", async () => {
  await using system = await Here.open();
  const server = await system.server();
  let logins = 0;
  const counting = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/login") logins++;
      const { method, headers } = request;
      return fetch(`${system.config.routeUrl}${pathname}`, { method, headers, body: await request.text() });
    },
  });
  const { PATH, HOME } = process.env as Record<string, string>;
  const env = { PATH: PATH!, HOME: HOME!, TERM: "xterm", ...consoles.env, CIM_PASSWORD: "password1" };
  const route = counting.url.origin;
  await using glass = new Glass([process.execPath, MAIN, "--route", route, "--user", "carol"], env);
  await glass.shows("[y/N]");
  glass.type("y\r");
  await glass.shows("You are");
  await server.close();
  await glass.shows("connection lost");
  const before = logins;
  await until("it tried 20 times", () => {
    glass.type("\r");
    return logins >= before + 20;
  });
  await counting.stop(true);
});

test("Ctrl-C clears the line, and pressed twice it quits", async () => {
  await using glass = await ready(someone());
  glass.type("not to be sent");
  await glass.shows("not to be sent");
  glass.type(CTRL_C);
  await glass.shows("Ctrl-C again quits.");
  const cleared = glass.input;
  glass.type(CTRL_C);
  expect([cleared, await glass.exited]).toEqual(["> |", 0]);
});

test("Ctrl-D quits, and so does :q", async () => {
  await using one = await ready(someone());
  await using two = await ready(someone());
  one.type(CTRL_D);
  two.type(":q\r");
  expect([await one.exited, await two.exited]).toEqual([0, 0]);
  // What is printed next stands on a line of its own, and right below.
  const ends = [one, two].map(({ lines, input }) => [lines.at(-1), input]);
  expect(ends).toEqual([
    [">", "|"],
    ["> :q", "|"],
  ]);
});

test("a second console of the same account is told so, and the first one stays", async () => {
  const me = someone();
  await using first = await ready(me);
  await using second = open(me);
  await second.shows("is logged in already");
  const code = await second.exited;
  first.type(":info\r");
  await first.shows("Ready");
  expect(code).toBe(1);
});

test("there is colour in a terminal, unless NO_COLOR says otherwise", async () => {
  const coloured: boolean[] = [];
  for (const noColor of ["", "1"]) {
    const { promise, resolve } = Promise.withResolvers<void>();
    let printed = "";
    const terminal = new Bun.Terminal({
      data(_, bytes) {
        printed += Buffer.from(bytes);
        if (printed.includes("lists the commands")) resolve();
        if (printed.includes("[y/N]") && !printed.includes("y\r")) terminal.write("y\r");
      },
    });
    const env = {
      ...process.env,
      ...consoles.env,
      CIM_PASSWORD: "password1",
      NO_COLOR: noColor,
      TERM: "xterm",
    };
    const command = [process.execPath, MAIN, "--route", here.config.routeUrl, "--user", someone()];
    const running = Bun.spawn(command, { terminal, env });
    await promise;
    coloured.push(/\x1b\[\d+m/.test(printed));
    running.kill();
    await running.exited;
    terminal.close();
  }
  expect(coloured).toEqual([true, false]);
});
