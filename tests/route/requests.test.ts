/** What is not a call: a code and the reason, naming the field, the value and the limit. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Account, type Envelope, OpenRoute } from "./open-route.ts";

let route: OpenRoute;
let ann: Account;

beforeAll(async () => {
  route = await OpenRoute.start({ CIM_AUTH: "open", CIM_MAX_BODY_BYTES: "70000" });
  ann = await route.register("ann", null);
});
afterAll(() => route[Symbol.asyncDispose]());

const REFUSED: [body: string, message: string][] = [
  ['{"userName":', 'body "{\\"userName\\":": not JSON in UTF-8'],
  ["", 'body "": not JSON in UTF-8'],
  ["[]", "body []: want a JSON object"],
  ["null", "body null: want a JSON object"],
  ['"text"', 'body "text": want a JSON object'],
  ["{}", "userName is missing: want a name"],
  ['{"userName":null}', "userName is missing: want a name"],
  ['{"userName":5}', "userName=5: want a name"],
  ['{"userName":{"a":1}}', 'userName={"a":1}: want a name'],
  ['{"userName":" "}', 'userName=" ": 0 characters, want 1 to 64'],
  [`{"userName":"${"x".repeat(65)}"}`, `userName="${"x".repeat(39)}…: 65 characters, want 1 to 64`],
  ['{"userName":"a\\u202eb"}', 'userName="a\u202eb": a name with U+202E in it'],
  ['{"userName":"ann","reqNo":7}', "reqNo=7: want a text"],
  ['{"userName":"ann","password":"short"}', "password: 5 characters, want at least 8"],
  ['{"userName":"ann","password":["secret"]}', "password: want a password"],
  ['{"userName":"ann","device":""}', 'device="": 0 characters, want 1 to 64'],
  [`{"userName":"${"x".repeat(70_000)}"}`, "body of 70015 bytes or more, limit 70000"],
];

describe("registerAccount refuses", () => {
  test.each(REFUSED.map(([body, message]) => [message, body] as const))("%s", async (message, body) => {
    const answer = await route.post("/registerAccount", body);
    expect(answer).toEqual({ code: "3000", message, reqNo: null, dataBody: null });
  });
});

const CONTENT: [content: object, message: string][] = [
  [{}, "0 of msg, batchMsg and data: want one of them"],
  [{ msg: "a", data: "AAEC" }, "2 of msg, batchMsg and data: want one of them"],
  [{ msg: "" }, 'msg="": the message is empty'],
  [{ msg: ["a"] }, 'msg=["a"]: want a text'],
  [{ msg: "\ud800" }, 'msg="\\ud800": the text has a lone surrogate: want well-formed Unicode'],
  [{ msg: "x".repeat(61_441) }, `msg="${"x".repeat(39)}…: message of 61441 bytes, limit 61440`],
  [{ batchMsg: [] }, "batchMsg=[]: want at least one text"],
  [{ batchMsg: "a" }, 'batchMsg="a": want a list of texts'],
  [{ batchMsg: ["a", 1] }, "batchMsg[1]=1: want a text"],
  [
    { batchMsg: Array(101).fill("x") },
    'batchMsg=["x","x","x","x","x","x","x","x","x","x"…: 101 texts, limit 100',
  ],
  [{ data: "not base64!" }, 'data="not base64!": want base64'],
  [{ data: "" }, 'data="": the message is empty'],
  [{ msg: "a", messageId: "" }, 'messageId="": messageId of 0 characters: want 1 to 64'],
  [
    { msg: "a", messageId: "x".repeat(65) },
    `messageId="${"x".repeat(39)}…: messageId of 65 characters: want 1 to 64`,
  ],
  [
    { msg: "a", messageId: "\uFEFFx" },
    'messageId="\uFEFFx": messageId that begins with a byte order mark (U+FEFF)',
  ],
];

describe("groupRoute refuses", () => {
  test.each(CONTENT.map(([content, message]) => [message, content] as const))(
    "%s",
    async (message, content) => {
      const answer = await route.post("/groupRoute", { userId: ann.userId, reqNo: "r", ...content });
      expect(answer).toEqual({ code: "3000", message, reqNo: "r", dataBody: null });
    },
  );
});

describe("a userId is a whole number that JavaScript can hold:", () => {
  const want = "want a whole number from 1 to 9007199254740991";
  test.each([
    ['"1"', `userId="1": ${want}`],
    ["0", `userId=0: ${want}`],
    ["-1", `userId=-1: ${want}`],
    ["1.5", `userId=1.5: ${want}`],
    ["true", `userId=true: ${want}`],
    ["9007199254740992", `userId=9007199254740992: ${want}`],
    ["9007199254740993", `userId=9007199254740992: ${want}`],
    ["1e999", `userId=null: ${want}`],
  ])("%s", async (userId, message) => {
    expect(await route.post("/groupRoute", `{"userId":${userId},"msg":"x"}`)).toMatchObject({
      code: "3000",
      message,
    });
  });
});

test("a message to oneself is refused", async () => {
  const { userId } = ann;
  expect(await route.post("/p2pRoute", { userId, receiveUserId: userId, msg: "x" })).toMatchObject({
    code: "3000",
    message: `receiveUserId=${userId}: it is the sender`,
  });
});

test("only JSON is taken, in UTF-8", async () => {
  const send = async (type: string | null, body: BodyInit): Promise<Envelope> => {
    const headers: Record<string, string> = type === null ? {} : { "content-type": type };
    return (
      await route.fetch("/registerAccount", { method: "POST", headers, body })
    ).json() as Promise<Envelope>;
  };
  const body = JSON.stringify({ userName: "ann" });
  const bytes = new TextEncoder().encode(body);
  const types = [null, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"];
  const refused = await Promise.all(types.map((type) => send(type, bytes)));
  expect(refused.map(({ code, message }) => [code, message])).toEqual([
    ["3000", 'content-type "": want application/json'],
    ["3000", 'content-type "text/plain": want application/json'],
    ["3000", 'content-type "application/x-www-form-urlencoded": want application/json'],
    ["3000", 'content-type "application/jsonx": want application/json'],
  ]);
  const taken = ["application/json", "application/json;charset=utf-8", "Application/JSON; charset=UTF-8"];
  expect((await Promise.all(taken.map((type) => send(type, bytes)))).map(({ code }) => code)).toEqual([
    "9000",
    "9000",
    "9000",
  ]);
  expect(await send("application/json", new Uint8Array([0x7b, 0xff, 0x7d]))).toMatchObject({ code: "3000" });
});

// To show such a value took the route more than a second, in which it did nothing else, and then failed.
test("a body of which nothing is known but that it is nested is shown no further than it is told", async () => {
  await using roomy = await OpenRoute.start({ CIM_AUTH: "open" });
  const nested = `${"[".repeat(400_000)}${"]".repeat(400_000)}`;
  const messages = [];
  for (const body of [nested, `{"userName":${nested}}`, `{"userName":[${"{},".repeat(300_000)}{}]}`])
    messages.push((await roomy.post("/registerAccount", body)).message);
  const deep = "[".repeat(40);
  expect(messages).toEqual([
    `body ${deep}…: want a JSON object`,
    `userName=${deep}…: want a name`,
    "userName=[{},{},{},{},{},{},{},{},{},{},{},{},{},…: want a name",
  ]);
});

test("of a body without a length no more is read than the limit", async () => {
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        controller.enqueue(new Uint8Array(10_000).fill(32));
        // It ends, so that a limit that does not hold fails the test and not the machine.
        if (++pulled === 1000) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  const headers = { "content-type": "application/json" };
  const response = await route.fetch("/registerAccount", { method: "POST", headers, body });
  expect(await response.json()).toMatchObject({
    code: "3000",
    message: "body of 80000 bytes or more, limit 70000",
  });
  expect(pulled).toBeLessThanOrEqual(9);
});

test("a path or method there is not is 404 and says where to look", async () => {
  const answers = [];
  for (const [path, method] of [
    ["/nothing", "GET"],
    ["/login", "GET"],
    ["/onlineUser", "DELETE"],
    [`/${"x".repeat(100)}`, "POST"],
  ] as const) {
    const response = await route.fetch(path, { method });
    answers.push([response.status, ((await response.json()) as Envelope).message]);
  }
  const hint = "there is no such call, /docs lists those there are";
  expect(answers).toEqual([
    [404, `GET "/nothing": ${hint}`],
    [404, 'GET "/login": want POST'],
    [404, 'DELETE "/onlineUser": want GET'],
    [404, `POST "/${"x".repeat(38)}…: ${hint}`],
  ]);
});

test("what fails inside is logged whole, and answered 4000 without a word of it", async () => {
  await using broken = await OpenRoute.start({ CIM_AUTH: "open" });
  const { userId } = await broken.register("ann", null);
  broken.store.log.append = () =>
    Promise.reject(new Error("append failed", { cause: new Error("disk on fire at /var/lib/secret") }));
  const answer = await broken.post("/groupRoute", { userId, msg: "x", reqNo: "r" });
  expect(answer).toEqual({ code: "4000", message: "Failure", reqNo: "r", dataBody: null });
  expect(broken.logged).toEqual([
    {
      call: "groupRoute",
      error: expect.stringMatching(
        /^Error: append failed\n(?:.+\n)+caused by Error: disk on fire at \/var\/lib\/secret\n/,
      ),
    },
  ]);
});
