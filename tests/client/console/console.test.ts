import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { COMMANDS } from "../../../client/console/commands.ts";
import type { Event } from "../../../client/console/events.ts";
import { LANGUAGES } from "../../../client/console/texts/language.ts";
import { until } from "../../support/until.ts";
import { Here, read } from "../sdk/here.ts";
import { Consoles } from "./consoles.ts";

let here: Here;
let consoles: Consoles;
let names = 0;
const someone = () => `person${names++}`;

beforeAll(async () => {
  here = await Here.open();
  await here.server();
  consoles = new Consoles(here.config.routeUrl);
});
afterAll(async () => {
  consoles[Symbol.dispose]();
  await here[Symbol.asyncDispose]();
});

/** The events without their ids and times. */
function shape(events: Event[]): unknown[] {
  return events.map((event) => {
    if (event.type === "sent")
      return [event.type, event.to?.userName ?? "everyone", event.text, event.receiverOnline];
    if (event.type === "message") return [event.type, event.from.userName, event.text];
    if (event.type === "problem") return [event.type, event.problem.what];
    if (event.type === "refused") return [event.type, event.text, event.status];
    if (event.type === "delayed" || event.type === "undelayed")
      return [event.type, event.delayed.id, event.delayed.text];
    if (event.type === "found") return [event.type, event.keyword, event.said.map(({ text }) => text)];
    return event.type;
  });
}

describe("lines from a pipe", () => {
  test("are sent, and the end waits for every receipt", async () => {
    await using bob = await here.client(someone());
    const lines = Array.from({ length: 150 }, (_, i) => `${bob.userName};;line ${i}`);
    const { code, err } = await consoles.run(["--user", someone()], lines);
    expect([code, err, await read(bob, 150)]).toEqual([0, "", lines.map((_, i) => `line ${i}`)]);
  });

  test("say what became of each: accepted, stored for one who is offline, refused", async () => {
    await using bob = await here.client(someone());
    const carol = await here.client(someone());
    await carol.close();
    const lines = ["hello, all", `${bob.userName};;hi;;there`, `${carol.userId};;later`, "999999;;nobody"];
    const events = await consoles.events(someone(), lines);
    expect(shape(events).toSorted()).toEqual(
      [
        "ready",
        ["sent", "everyone", "hello, all", true],
        ["sent", bob.userName, "hi;;there", true],
        ["sent", "", "later", false],
        ["refused", "nobody", "INVALID"],
      ].toSorted(),
    );
  });

  test("that come to nothing make the exit code 1, after one line", async () => {
    const { code, err, out } = await consoles.run(
      ["--user", someone()],
      ["nobody of this name;;hi", ":nonsense"],
    );
    expect([code, err]).toEqual([1, "cim-client: 2 of the lines came to nothing.\n"]);
    expect(out).toContain('There is no user "nobody of this name": write <name or userId>;;<text>');
  });

  test("end at :q, whatever follows", async () => {
    const events = await consoles.events(someone(), ["one", ":q", "two"]);
    expect(shape(events)).toEqual(["ready", ["sent", "everyone", "one", true]]);
  });
});

describe("commands", () => {
  test("each have their words in every language, and are listed by :all; one that is unknown gets one line", async () => {
    const { out } = await consoles.run(["--user", someone()], [":all", ":nonsense"]);
    for (const { commands } of Object.values(LANGUAGES))
      expect(Object.keys(commands)).toEqual(Object.keys(COMMANDS));
    const listed = Object.values(LANGUAGES.en.commands).map(
      ({ usage }) => out.split(`  ${usage} `).length - 1,
    );
    expect([listed, out.trimEnd().split("\n").at(-1)]).toEqual([
      listed.map(() => 1),
      "There is no command :nonsense: :all lists those there are.",
    ]);
  });

  // In CIM v2 each of these ended the input thread (fault 24).
  test("that are written wrongly say how to write them, and the input goes on", async () => {
    const wrong = [
      "abc;;hi",
      ":delay a b",
      ":delay x 0",
      ":delay x",
      ":emoji x",
      ":emoji 99",
      ":pu",
      ":undelay 1",
      "1;;",
      ";;x",
    ];
    const { out, code } = await consoles.run(["--user", someone()], [...wrong, "still here"]);
    const [, , , ...lines] = out.trimEnd().split("\n");
    expect([code, lines]).toEqual([
      1,
      [
        'There is no user "abc": write <name or userId>;;<text>; :olu shows who is online.',
        '"b" is no number of seconds from 1 to 604800: write :delay <msg> <seconds>, as in :delay see you 10',
        '"0" is no number of seconds from 1 to 604800: write :delay <msg> <seconds>, as in :delay see you 10',
        '":delay x" is not enough: write :delay <msg> <seconds>',
        '"x" is no page from 1 to 4: write :emoji <page>, as in :emoji 1',
        '"99" is no page from 1 to 4: write :emoji <page>, as in :emoji 1',
        '":pu" is not enough: write :pu <prefix>',
        'Nothing waits under "1": :delay lists what waits, :undelay <number> calls it off.',
        'Nothing stands after ;; in "1;;": write <name or userId>;;<text>',
        'Nobody is named before ;; in ";;x": write <name or userId>;;<text>',
        expect.stringMatching(/accepted: to everyone, #\d+$/),
      ],
    ]);
  });

  test(":olu and :pu show who is online", async () => {
    await using bob = await here.client(`${someone()} 王五`);
    const events = await consoles.events("zoe", [":olu", `:pu ${bob.userName.slice(0, -1)}`, ":pu nobody"]);
    const [, all, ...some] = events as (Event & { type: "users" })[];
    const who = { userId: bob.userId, userName: bob.userName };
    expect(all!.users.map(({ userName }) => userName)).toContainValues(["zoe", bob.userName]);
    expect(some.map(({ users }) => users)).toEqual([[who], []]);
  });

  test(":q with a keyword finds what was said and heard, in later runs too", async () => {
    const [me, them] = [someone(), someone()];
    await using bob = await here.client(them);
    await consoles.events(me, [`${them};;Good morning`, "今天开会"]);
    await bob.sendTo((await bob.findUser(me))!.userId, "good night");
    const { stdin, texts, ran } = consoles.open(["--user", me]);
    await until("what was said meanwhile is heard", () => texts.out.includes("good night"));
    stdin.end();
    await ran;
    const found = await consoles.events(me, [":q GOOD", ":q 开会", ":q nothing of it"]);
    expect(shape(found)).toEqual([
      "ready",
      ["found", "GOOD", ["Good morning", "good night"]],
      ["found", "开会", ["今天开会"]],
      ["found", "nothing of it", []],
    ]);
  });

  test(":ai answers, and nothing is sent until :qai", async () => {
    await using bob = await here.client(someone());
    const lines = [":ai", `${bob.userName};;are you there?`, "are you ok?", ":qai", `${bob.userName};;hello`];
    const events = await consoles.events(someone(), lines);
    const answers = events.filter(({ type }) => type === "answer");
    expect([answers.length, answers[1], await read(bob, 1)]).toEqual([
      2,
      { type: "answer", text: "I am ok!" },
      ["hello"],
    ]);
  });

  test(":delay sends later, survives the end of the program, and is called off by its number", async () => {
    const me = someone();
    await using bob = await here.client(someone());
    const lines = [`:delay ${bob.userName};;in a second 1`, ":delay much later 1000", ":undelay 2", ":delay"];
    const events = await consoles.events(me, lines);
    const { stdin, ran } = consoles.open(["--user", me, "--json"]);
    const text = await read(bob, 1);
    stdin.end(":delay\n");
    await ran;
    expect([shape(events), text]).toEqual([
      [
        "ready",
        ["delayed", 1, "in a second"],
        ["delayed", 2, "much later"],
        ["undelayed", 2, "much later"],
        "delays",
      ],
      ["in a second"],
    ]);
  });

  test(":emoji shows a page, :info this client", async () => {
    const [, emoji, info] = await consoles.events(someone(), [":emoji 1", ":info"]);
    expect(emoji).toMatchObject({ type: "emoji", page: 1, pages: 4 });
    expect(info).toMatchObject({
      type: "info",
      info: { state: "Ready", route: here.config.routeUrl, device: "default" },
    });
  });

  test(":logout forgets the session", async () => {
    const me = someone();
    const events = await consoles.events(me, [":logout", "too late"]);
    const { code, err } = await consoles.run(["--user", me], [], { CIM_PASSWORD: "" });
    expect([shape(events), code, err]).toEqual([
      ["ready", "forgotten"],
      1,
      `cim-client: ${me} needs a password: set CIM_PASSWORD, or start in a terminal to be asked.\n`,
    ]);
  });
});

describe("a start", () => {
  test("with a new name registers it and says so; the next one needs no password", async () => {
    const me = someone();
    const first = await consoles.run(["--user", me], []);
    const second = await consoles.run(["--user", me], [], { CIM_PASSWORD: "" });
    const line = first.out.split("\n")[1]!;
    expect(first.out).toMatch(new RegExp(`^Registered ${me}, userId \\d+\\.\nYou are ${me}, userId`));
    expect([second.code, second.out.split("\n")[0]]).toEqual([0, line]);
  });

  test("of an account that is logged in elsewhere says what to do", async () => {
    await using alice = await here.client(someone());
    const { code, err } = await consoles.run(["--user", alice.userName], []);
    expect([code, err]).toEqual([
      1,
      `cim-client: ${alice.userName} is logged in already: quit there (:q) and try again, or wait until that connection has timed out.\n`,
    ]);
  });

  test("with another's name and a wrong password says so, in the language asked for", async () => {
    await using alice = await here.client(someone());
    await alice.close();
    const ran = await consoles.run(["--user", alice.userName, "--lang", "zh-CN"], [], {
      CIM_PASSWORD: "wrong password",
    });
    expect(ran).toEqual({
      code: 1,
      out: "",
      err: `cim-client: 用户名 ${alice.userName} 已被注册，密码不符。\n`,
    });
  });

  test("without a route, or with a wrong option, is one line", async () => {
    const nobody = new Consoles("http://127.0.0.1:1");
    const runs = [
      await nobody.run(["--user", "a"], []),
      await nobody.run(["--user"], []),
      await nobody.run(["--nope"], []),
    ];
    nobody[Symbol.dispose]();
    expect(runs.map(({ code, err }) => [code, err.trimEnd().split("\n").length, err.split(":")[0]])).toEqual(
      runs.map(() => [1, 1, "cim-client"]),
    );
  });
});

test("what others call themselves or write cannot touch the terminal", async () => {
  await using eve = await here.client(`${someone()}`);
  const me = someone();
  const { stdin, texts, ran } = consoles.open(["--user", me]);
  await until("it is ready", () => texts.out.includes("You are"));
  const { userId } = (await eve.findUser(me))!;
  await eve.sendTo(userId, "\x1b[2Jgone\n12:00:00 bob(2): forged\u202e");
  await until("it is shown", () => texts.out.includes("forged"));
  stdin.end();
  await ran;
  const shown = texts.out.split("\n").slice(-3).join("\n");
  expect(shown.slice(shown.indexOf(" ") + 1)).toBe(
    `${eve.userName}(${eve.userId}) → you: ␛[2Jgone\n    12:00:00 bob(2): forged\\u{202e}\n`,
  );
});

test("an outage is told once, what is typed meanwhile is queued, and sent after it", async () => {
  await using system = await Here.open();
  const server = await system.server();
  using own = new Consoles(system.config.routeUrl);
  const { stdin, texts, ran } = own.open(["--user", "alice"]);
  await until("it is ready", () => texts.out.includes("You are"));
  const { port, httpPort } = server.instance();
  await server.close();
  await until("the outage is told", () => texts.out.includes("connection lost"));
  stdin.write("anyone there?\n");
  await until("the line is queued", () => texts.out.includes("not connected"));
  await system.server({ port, httpPort });
  await until("it is back", () => texts.out.includes("connected again"));
  stdin.end();
  const { out, code } = await ran;
  expect([code, out.split("connection lost").length, out.split("\n").slice(-4)]).toEqual([
    0,
    2,
    [
      "  … not connected: it is sent as soon as there is a connection",
      "connected again",
      "  ✓ accepted: to everyone, #1",
      "",
    ],
  ]);
});
