/** AI mode with a model: the console as a process, and a real endpoint that streams its answers. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { PASSWORD } from "../support/chat.ts";
import { PROCESS_TEST_MS, REPOSITORY } from "../support/process.ts";
import { System } from "../support/system.ts";
import { Terminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(PROCESS_TEST_MS);

interface Question {
  key: string | null;
  model: string;
  /** All that goes along, the question last. */
  said: string[];
  /** Streams a part of the answer. */
  says(content: string): void;
  ends(): void;
  /** Nobody waits for the rest any more. */
  calledOff: boolean;
}

/** Answers as the test tells it to, while it is asked. */
class Endpoint {
  readonly asked: Question[] = [];
  /** What questions are refused with; null to answer them. */
  refuses: Response | null = null;
  readonly #server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => this.#answer(request) });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/v1`;
  }

  async question(number: number): Promise<Question> {
    return until(`question ${number} is asked`, () => this.asked[number - 1]);
  }

  close(): Promise<void> {
    return this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    if (new URL(request.url).pathname !== "/v1/chat/completions") return new Response("", { status: 404 });
    if (this.refuses) return this.refuses;
    const { model, messages } = (await request.json()) as { model: string; messages: { content: string }[] };
    const { readable, writable } = new TransformStream<string, string>();
    const writer = writable.getWriter();
    const write = (data: string) => void writer.write(`data: ${data}\n\n`).catch(() => {});
    const question: Question = {
      key: request.headers.get("authorization"),
      model,
      said: messages.map(({ content }) => content),
      says: (content) => write(JSON.stringify({ choices: [{ delta: { content } }] })),
      ends() {
        write("[DONE]");
        writer.close().catch(() => {});
      },
      calledOff: false,
    };
    request.signal.addEventListener("abort", () => {
      question.calledOff = true;
    });
    this.asked.push(question);
    const bytes = readable.pipeThrough(new TextEncoderStream() as TransformStream<string, Uint8Array>);
    return new Response(bytes, { headers: { "content-type": "text/event-stream" } });
  }
}

let system: System;
let endpoint: Endpoint;
const cleanups: (() => unknown)[] = [];

beforeEach(async () => {
  system = await System.start();
  endpoint = new Endpoint();
  cleanups.push(
    () => system.end(),
    () => endpoint.close(),
  );
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function settings(): Record<string, string> {
  const home = join(system.dataDir, "home");
  return {
    PATH: process.env.PATH!,
    HOME: home,
    XDG_CONFIG_HOME: home,
    XDG_DATA_HOME: home,
    CIM_ROUTE_URL: system.routeUrl,
    CIM_PASSWORD: PASSWORD,
    CIM_USER: "alice",
    CIM_AI_URL: endpoint.url,
    CIM_AI_MODEL: "small-1",
    CIM_AI_KEY: "secret",
  };
}

test("in a terminal an answer is shown while it comes, Ctrl-C stops it, and :qai goes back to people", async () => {
  const terminal = await Terminal.open(["bun", "client/main.ts"], { ...settings(), NO_COLOR: "1" });
  cleanups.push(() => terminal.close());
  await terminal.shows("[y/N]");
  await terminal.type("y");
  await terminal.shows(":all");
  await terminal.type(":ai");
  await terminal.shows(/^AI> $/m);

  // What would be a message to somebody is a question here.
  await terminal.type("for(;;) 是什么?");
  await terminal.shows("  … small-1 is asked, Ctrl-C stops it");
  const first = await endpoint.question(1);
  first.says("An endless loop.\nIt ");
  await terminal.shows("AI: An endless loop.");
  await terminal.press("typed on");
  first.says("never ends 👋");
  first.ends();
  await terminal.shows(/AI: An endless loop\.\n {4}It never ends 👋\nAI> typed on\s*$/);
  await terminal.press("C-u", true);

  await terminal.type("Tell me more");
  const second = await endpoint.question(2);
  second.says("There was once\n");
  await terminal.shows("There was once");
  await terminal.press("C-c", true);
  await terminal.shows("The answer was stopped.");
  await until("the endpoint is told", () => second.calledOff);

  endpoint.refuses = new Response("", { status: 503 });
  await terminal.type("Are you there?");
  await terminal.shows("No whole answer from CIM_AI_URL: it answered with HTTP 503. Ask again, or :qai.");
  await terminal.type(":qai");
  await terminal.shows("You talk to people again.");
  await terminal.type("hello, people");
  await terminal.shows("accepted: to everyone, #1");
  const questions = [
    ["for(;;) 是什么?"],
    ["for(;;) 是什么?", "An endless loop.\nIt never ends 👋", "Tell me more"],
  ];
  expect(endpoint.asked.map(({ key, model, said }) => ({ key, model, said }))).toEqual(
    questions.map((said) => ({ key: "Bearer secret", model: "small-1", said })),
  );
  await terminal.type(":q");
  expect(await terminal.ended()).toBe(0);
});

test("from a pipe each question waits for its answer; one that gets none is one line, and the exit code says so", async () => {
  const running = Bun.spawn(["bun", "client/main.ts", "--lang", "zh-CN"], {
    cwd: REPOSITORY,
    env: settings(),
    stdin: new Blob([":ai\none\ntwo\nthree\n:qai\nhello\n"]),
    stdout: "pipe",
    stderr: "pipe",
  });
  cleanups.push(() => running.kill("SIGKILL"));
  const [out, err] = [new Response(running.stdout).text(), new Response(running.stderr).text()];
  const first = await endpoint.question(1);
  first.says("first ");
  first.says("answer");
  first.ends();
  const second = await endpoint.question(2);
  second.says("half of the sec");
  await endpoint.close();
  const code = await running.exited;
  const [, , , ...lines] = (await out).trimEnd().split("\n");
  expect([code, lines, await err]).toEqual([
    1,
    [
      "正在与机器人聊天；输入 :qai 之前不发送任何消息。",
      "AI: first answer",
      expect.stringMatching(/^CIM_AI_URL 未给出完整回答：.*。请重新提问，或输入 :qai。$/),
      expect.stringMatching(/^CIM_AI_URL 未给出完整回答：无法连接（.*）。请重新提问，或输入 :qai。$/),
      "已结束与机器人聊天。",
      "  ✓ 已送达服务端：发给所有人，#1",
    ],
    "cim-client: 有 2 行未能完成。\n",
  ]);
});
