import { afterEach, expect, test } from "bun:test";
import { Model } from "../../../client/console/model.ts";

const servers: Bun.Server<undefined>[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
});

const part = (content: string): string =>
  `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\r\n\r\n`;
const DONE = "data: [DONE]\n\n";

interface Endpoint {
  url: string;
  model: string;
  asked: { path: string; key: string | null; body: unknown }[];
}

/** Answers every question with these bytes, `size` at a time. */
function endpoint(answer: string | Response, size = 1): Endpoint {
  const asked: Endpoint["asked"] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const key = request.headers.get("authorization");
      asked.push({ path: new URL(request.url).pathname, key, body: await request.json() });
      if (answer instanceof Response) return answer;
      return new Response(inPieces(new TextEncoder().encode(answer), size));
    },
  });
  servers.push(server);
  return { url: `http://127.0.0.1:${server.port}/v1`, model: "m", asked };
}

function inPieces(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
      if (at >= bytes.length) controller.close();
    },
  });
}

test.each([1, 2, 7, 10_000])(
  "an answer in pieces of %d bytes is shown in lines, and goes along with the next question",
  async (size) => {
    const at = endpoint(`: a comment\n\n${part("你好 👋\nsec")}${part("ond")}${DONE}`, size);
    const model = new Model({ ...at, key: "k" });
    const lines: string[] = [];
    await model.ask("one", (line) => lines.push(line));
    await model.ask("two", () => {});
    const first = { role: "user", content: "one" };
    const context = [
      first,
      { role: "assistant", content: "你好 👋\nsecond" },
      { role: "user", content: "two" },
    ];
    const body = (messages: unknown[]) => ({ model: "m", stream: true, messages });
    expect([lines, at.asked]).toEqual([
      ["你好 👋", "second"],
      [[first], context].map((messages) => ({
        path: "/v1/chat/completions",
        key: "Bearer k",
        body: body(messages),
      })),
    ]);
  },
);

const BROKEN: [string, () => string | Response, object, string][] = [
  ["status", () => new Response("", { status: 401 }), {}, "401"],
  ["cut", () => part("half"), {}, ""],
  ["format", () => "data: {nothing\n\n", {}, "{nothing"],
  ["refused", () => 'data: {"error":{"message":"no money"}}\n\n', {}, "no money"],
  ["size", () => part("12345"), { maxAnswerLength: 4 }, "4"],
  ["size", () => `:${"x".repeat(200)}`, { maxBytes: 100 }, "100"],
  ["timeout", () => new Response(new ReadableStream()), { timeoutMs: 20 }, "0.02"],
];

test.each(BROKEN)(
  "without a whole answer (%s) the mistake says why",
  async (fault, answer, limits, detail) => {
    const model = new Model(endpoint(answer(), 64), limits);
    const problem = await model.ask("?", () => {}).catch((error) => error.problem);
    expect(problem).toEqual({ what: "model", fault, detail });
  },
);

test("an answer that is called off ends at once, without a mistake", async () => {
  const stream = new ReadableStream({ start: (controller) => controller.enqueue(part("first\n")) });
  const model = new Model(endpoint(new Response(stream)));
  const lines: string[] = [];
  await model.ask("?", (line) => {
    lines.push(line);
    model.end();
  });
  expect(lines).toEqual(["first"]);
});
