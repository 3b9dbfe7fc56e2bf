/** Requests that are not what they should be: a code and a reason, and nothing stored or hurt. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { CimV2Client } from "../support/cim-v2-client.ts";
import { PROCESS_TEST_MS } from "../support/process.ts";
import { System } from "../support/system.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const KIB = 1024;
const MAX_CONTENT_BYTES = 60 * KIB;

let system: System;
let ann: CimV2Client;
let bob: CimV2Client;

beforeAll(async () => {
  system = await System.start({ env: { CIM_AUTH: "open" } });
  ann = await CimV2Client.start(system.routeUrl, "ann");
  bob = await CimV2Client.start(system.routeUrl, "bob");
});
afterAll(() => system?.end());

/** What is posted, what the answer's message says. `A` and `B` stand for the ids of ann and bob. */
const REFUSED: [name: string, path: string, body: string, says: string | RegExp][] = [
  ["JSON that breaks off", "/registerAccount", '{"userName":', "not JSON"],
  ["no body", "/registerAccount", "", "not JSON"],
  ["a list instead of an object", "/registerAccount", "[]", "want a JSON object"],
  ["null", "/login", "null", "want a JSON object"],
  ["lists nested 100,000 deep", "/registerAccount", "[".repeat(100_000), "not JSON"],
  ["no name", "/registerAccount", "{}", "userName is missing"],
  ["a number as name", "/registerAccount", '{"userName":5}', "userName=5"],
  ["an empty name", "/registerAccount", '{"userName":""}', "0 characters, want 1 to 64"],
  ["a name of blanks", "/registerAccount", '{"userName":"  \\t "}', "0 characters, want 1 to 64"],
  ["a name of 65 characters", "/registerAccount", named("x".repeat(65)), "65 characters, want 1 to 64"],
  ["a name of 65 emoji", "/registerAccount", named("🦊".repeat(65)), "65 characters, want 1 to 64"],
  ["NUL in a name", "/registerAccount", '{"userName":"a\\u0000b"}', "U+0000"],
  ["a line break in a name", "/registerAccount", '{"userName":"a\\nb"}', "U+000A"],
  ["an escape sequence in a name", "/registerAccount", '{"userName":"\\u001b[31mred"}', "U+001B"],
  ["a turned direction in a name", "/registerAccount", '{"userName":"a\\u202egnp"}', "U+202E"],
  ["half a surrogate pair in a name", "/registerAccount", '{"userName":"\\ud800"}', /surrogate/],
  ["a userId as text", "/p2pRoute", '{"userId":"A","receiveUserId":B,"msg":"x"}', "userId="],
  ["a userId of 0", "/p2pRoute", '{"userId":0,"receiveUserId":B,"msg":"x"}', "userId=0"],
  ["a negative userId", "/p2pRoute", '{"userId":-1,"receiveUserId":B,"msg":"x"}', "userId=-1"],
  ["half a userId", "/p2pRoute", '{"userId":1.5,"receiveUserId":B,"msg":"x"}', "userId=1.5"],
  ["2^53 as userId", "/p2pRoute", '{"userId":9007199254740992,"receiveUserId":B,"msg":"x"}', "userId="],
  [
    "2^53 + 1 as receiver",
    "/p2pRoute",
    '{"userId":A,"receiveUserId":9007199254740993,"msg":"x"}',
    "receiveUserId=",
  ],
  [
    "a number too large for JSON",
    "/p2pRoute",
    '{"userId":A,"receiveUserId":1e999,"msg":"x"}',
    "receiveUserId=",
  ],
  [
    "a receiver who does not exist",
    "/p2pRoute",
    '{"userId":A,"receiveUserId":123456789,"msg":"x"}',
    "123456789",
  ],
  ["an object as message", "/p2pRoute", '{"userId":A,"receiveUserId":B,"msg":{}}', "msg="],
  ["no message", "/p2pRoute", '{"userId":A,"receiveUserId":B}', /msg/],
  ["an empty message", "/p2pRoute", '{"userId":A,"receiveUserId":B,"msg":""}', "empty"],
  [
    "half a surrogate pair as message",
    "/p2pRoute",
    '{"userId":A,"receiveUserId":B,"msg":"\\udc00"}',
    /surrogate/,
  ],
  ["a text as batch", "/p2pRoute", '{"userId":A,"receiveUserId":B,"batchMsg":"x"}', "batchMsg="],
  ["a number in a batch", "/p2pRoute", '{"userId":A,"receiveUserId":B,"batchMsg":["x",1]}', "batchMsg[1]=1"],
  ["an empty batch", "/p2pRoute", '{"userId":A,"receiveUserId":B,"batchMsg":[]}', "batchMsg"],
  [
    "a message of one byte too many",
    "/p2pRoute",
    `{"userId":A,"receiveUserId":B,"msg":"${"x".repeat(MAX_CONTENT_BYTES + 1)}"}`,
    `message of ${MAX_CONTENT_BYTES + 1} bytes, limit ${MAX_CONTENT_BYTES}`,
  ],
  [
    "a message of 64 KiB and one byte",
    "/groupRoute",
    `{"userId":A,"msg":"${"é".repeat(32 * KIB)}x"}`,
    `message of ${64 * KIB + 1} bytes`,
  ],
  ["a body of one byte too many", "/groupRoute", `"${"x".repeat(KIB * KIB - 1)}"`, "limit 1048576"],
  ["someone unknown who fetches", "/fetchOfflineMsgs", '{"receiveUserId":"me"}', "receiveUserId="],
];

describe("refused with 3000 and the reason:", () => {
  for (const [name, path, body, says] of REFUSED) {
    test(name, async () => {
      const answer = await post(path, body);
      expect(answer).toStrictEqual({
        status: 200,
        body: { code: "3000", message: expect.stringMatching(says), reqNo: null, dataBody: null },
      });
    });
  }

  test("another content type", async () => {
    const answer = await post("/registerAccount", '{"userName":"typed"}', "text/plain");
    expect(answer.body).toMatchObject({ code: "3000", message: expect.stringContaining("text/plain") });
  });

  test("and nothing of it reached anyone, who are served as before", async () => {
    await ann.sendP2P(bob.userId, "the first thing bob gets");
    expect(await bob.texts(1)).toEqual(["the first thing bob gets"]);
    expect(await ann.texts(0)).toEqual([]);
  });
});

test("a path that does not exist is 404, for a method it does not take 404 or 405", async () => {
  expect((await fetch(`${system.routeUrl}/nothing`)).status).toBe(404);
  expect((await fetch(`${system.routeUrl}/p2pRoute`)).status).toBeOneOf([404, 405]);
  expect((await post("/..%2f..%2fetc/passwd", "{}")).status).toBe(404);
});

test("names of 1 and 64 characters of any script are kept as they are", async () => {
  const names = [
    "x",
    "x".repeat(64),
    "🦊".repeat(64),
    "мария",
    "مريم",
    "מרים",
    "美玲",
    "👨‍👩‍👧‍👦",
    "O'Brien <b>&amp;</b>",
  ];
  for (const userName of names) {
    const answer = await post("/registerAccount", JSON.stringify({ userName }));
    expect(answer.body).toMatchObject({ code: "9000", dataBody: { userName } });
  }
});

test("two spellings of one name are one account", async () => {
  const composed = await CimV2Client.register(system.routeUrl, "Zoë");
  const decomposed = await CimV2Client.register(system.routeUrl, "  Zoe\u0308 ");
  expect([decomposed.userId, decomposed.userName]).toEqual([composed.userId, "Zoë"]);
});

/** Ways in which text is mishandled somewhere: none of it may change on the way. */
const TEXTS = {
  "an emoji of seven code points": "👨‍👩‍👧‍👦",
  "skin tones, flags and keycaps": "👍🏿 🇨🇳🇩🇪 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
  "text that is not NFC": "e\u0301 \u1100\u1161 Å vs Å",
  "right-to-left script with left-to-right in it": "שלום world مرحبا 123",
  "marks of direction": "\u202Eabc\u202C \u2066x\u2069 \u200F\u200E",
  "stacked marks": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢",
  "characters beyond the first plane": "𠀀𝒳𓀀",
  "control characters": "\u0000\u0007\u001b[2J\r\n\t\u0085\u2028\uFEFF",
  "characters that end strings elsewhere": `'"\\\`\${x}%s%n{{y}}</script><!-- ;; :q!`,
  "the last characters there are": "\uFFFD\uFFFF\u{10FFFF}",
  "a byte order mark first": "\uFEFFtext",
  "blanks around it": "  both ends  ",
};

test("text of every kind arrives unchanged, live and when it was kept", async () => {
  const texts = Object.values(TEXTS);
  const cat = await CimV2Client.register(system.routeUrl, "cat");
  const before = bob.received.length;
  for (const text of texts) {
    expect((await ann.sendP2P(bob.userId, text)).code).toBe("9000");
    expect((await ann.sendP2P(cat.userId, text)).code).toBe("7000");
  }
  await cat.login();
  await cat.fetchOfflineMsgs();
  expect((await bob.texts(before + texts.length)).slice(before)).toEqual(texts);
  expect(await cat.texts(texts.length)).toEqual(texts);
  await cat.close();
});

test("the largest message there may be arrives whole", async () => {
  const text = "语".repeat(MAX_CONTENT_BYTES / 3);
  const before = bob.received.length;
  expect((await ann.sendP2P(bob.userId, text)).code).toBe("9000");
  expect((await bob.texts(before + 1)).at(-1)).toBe(text);
});

function named(userName: string): string {
  return JSON.stringify({ userName });
}

async function post(
  path: string,
  body: string,
  type = "application/json",
): Promise<{ status: number; body: unknown }> {
  const filled = body.replace(/:A\b/, `:${ann.userId}`).replace(/:B\b/, `:${bob.userId}`);
  const response = await fetch(`${system.routeUrl}${path}`, {
    method: "POST",
    headers: { "content-type": type },
    body: filled,
  });
  const text = await response.text();
  return { status: response.status, body: response.status === 200 ? JSON.parse(text) : text };
}
