/** Who answers in AI mode when CIM_AI_URL names an OpenAI-compatible endpoint: its answers come as a stream of parts. */
import { whyNot } from "../sdk/reason.ts";
import { Mistake, type ModelFault } from "./problem.ts";

export interface ModelOptions {
  /** What stands before /chat/completions. */
  url: string;
  model: string;
  key?: string;
}

interface Limits {
  /** From the question to the end of its answer. */
  timeoutMs: number;
  maxAnswerLength: number;
  /** Of everything an answer comes in. */
  maxBytes: number;
}

interface Turn {
  role: "user" | "assistant";
  content: string;
}

interface Part {
  text: string;
  isLast: boolean;
}

const LIMITS: Limits = { timeoutMs: 2 * 60_000, maxAnswerLength: 64 * 1024, maxBytes: 8 * 1024 * 1024 };
/** Questions with their answers that go along with the next one. */
const MAX_EXCHANGES = 10;
/** A line is shown when it is complete, or at a space after so many characters. */
const LINE_LENGTH = 72;
const DONE = "[DONE]";

export class Model {
  readonly #options: ModelOptions;
  readonly #limits: Limits;
  #turns: Turn[] = [];
  #running: AbortController | null = null;

  constructor(options: ModelOptions, limits: Partial<Limits> = {}) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...limits };
  }

  /**
   * Calls `show` with each line of the answer as it comes. A question before it that is not answered yet is called off;
   * one that is called off resolves, and is not remembered.
   * @throws Mistake when there is no whole answer
   */
  async ask(question: string, show: (line: string) => void): Promise<void> {
    this.stop();
    const running = new AbortController();
    this.#running = running;
    const timeout = AbortSignal.timeout(this.#limits.timeoutMs);
    const asked: Turn = { role: "user", content: question };
    try {
      let answer = "";
      let shown = 0;
      for await (const text of this.#stream(asked, AbortSignal.any([running.signal, timeout]))) {
        if (running.signal.aborted) return;
        answer += text;
        if (answer.length > this.#limits.maxAnswerLength) {
          throw fault("size", String(this.#limits.maxAnswerLength));
        }
        for (let end = lineEnd(answer, shown); end > 0; end = lineEnd(answer, shown)) {
          show(answer.slice(shown, end).trimEnd());
          shown = end;
        }
      }
      if (running.signal.aborted) return;
      if (shown < answer.length || answer === "") show(answer.slice(shown).trimEnd());
      this.#turns.push(asked, { role: "assistant", content: answer });
      this.#turns = this.#turns.slice(-2 * MAX_EXCHANGES);
    } catch (error) {
      if (running.signal.aborted) return;
      if (timeout.aborted) throw fault("timeout", String(this.#limits.timeoutMs / 1000));
      if (error instanceof Mistake) throw error;
      throw fault("unreachable", whyNot(error));
    } finally {
      if (this.#running === running) this.#running = null;
    }
  }

  /** Calls off the answer that is under way; answers whether there was one. */
  stop(): boolean {
    const running = this.#running;
    this.#running = null;
    running?.abort();
    return running !== null;
  }

  /** Stops, and forgets what was said. */
  end(): void {
    this.stop();
    this.#turns = [];
  }

  async *#stream(asked: Turn, signal: AbortSignal): AsyncGenerator<string> {
    const { url, model, key } = this.#options;
    const response = await fetch(`${url}/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "text/event-stream",
        ...(key && { authorization: `Bearer ${key}` }),
      },
      body: JSON.stringify({ model, stream: true, messages: [...this.#turns, asked] }),
      signal,
    });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      throw fault("status", String(response.status));
    }
    let isLast = false;
    for await (const data of this.#events(response.body)) {
      if (data === DONE) return;
      const part = partOf(data);
      isLast ||= part.isLast;
      if (part.text !== "") yield part.text;
    }
    if (!isLast) throw fault("cut", "");
  }

  /** What stands after "data:" in each line; our endpoints never spread one over several. */
  async *#events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
    const decoder = new TextDecoder();
    let bytes = 0;
    let rest = "";
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > this.#limits.maxBytes) throw fault("size", String(this.#limits.maxBytes));
      const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/);
      rest = lines.pop()!;
      for (const line of lines) if (line.startsWith("data:")) yield line.slice("data:".length).trim();
    }
    if (rest.startsWith("data:")) yield rest.slice("data:".length).trim();
  }
}

/** Where the next line to show ends; 0 when there is none yet. */
function lineEnd(answer: string, from: number): number {
  const feed = answer.indexOf("\n", from);
  if (feed >= 0) return feed + 1;
  const space = answer.indexOf(" ", from + LINE_LENGTH);
  return space >= 0 ? space + 1 : 0;
}

function partOf(data: string): Part {
  try {
    const { choices, error } = JSON.parse(data);
    if (error) throw fault("refused", String(error.message ?? data).slice(0, 200));
    const text = choices?.[0]?.delta?.content ?? "";
    if (typeof text === "string") return { text, isLast: Boolean(choices?.[0]?.finish_reason) };
  } catch (error) {
    if (error instanceof Mistake) throw error;
  }
  throw fault("format", data.slice(0, 80));
}

function fault(reason: ModelFault, detail: string): Mistake {
  return new Mistake({ what: "model", fault: reason, detail });
}
