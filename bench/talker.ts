/** A program that is told what to do in lines, and answers with lines of JSON that each name an event. */
import type { Processes } from "./processes.ts";
import { BenchError } from "./scenario.ts";

const ANSWER_MS = 120_000;

export class Talker<Answer extends { event: string }> {
  readonly pid: number;
  readonly #name: string;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #waiting = new Map<string, PromiseWithResolvers<Answer>>();

  /** Starts the program, which ends with `processes`; it answers "ready" when it is. */
  constructor(processes: Processes, command: string[], name: string) {
    this.#child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    processes.adopt(this.#child);
    this.pid = this.#child.pid;
    this.#name = name;
    void this.#read();
  }

  /** Says a command and resolves with the answer to it, which may be long in coming. */
  ask(command: string, event: string, withinMs = ANSWER_MS): Promise<Answer> {
    const answer = this.hear(event, withinMs);
    void this.#child.stdin.write(`${command}\n`);
    void this.#child.stdin.flush();
    return answer;
  }

  /** @throws BenchError when it does not say so in time, or ends before */
  hear(event: string, withinMs = ANSWER_MS): Promise<Answer> {
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting.set(event, waiting);
    const late = setTimeout(() => this.#fail(event, `said no "${event}" in ${withinMs} ms`), withinMs);
    return waiting.promise.finally(() => clearTimeout(late));
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #read(): Promise<void> {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
      text = lines.pop()!;
      for (const line of lines) this.#take(JSON.parse(line) as Answer);
    }
    for (const event of this.#waiting.keys()) this.#fail(event, `ended before it said "${event}"`);
  }

  #take(answer: Answer): void {
    const waiting = this.#waiting.get(answer.event);
    this.#waiting.delete(answer.event);
    waiting?.resolve(answer);
  }

  #fail(event: string, what: string): void {
    const waiting = this.#waiting.get(event);
    this.#waiting.delete(event);
    waiting?.reject(new BenchError(`${this.#name} ${what}`));
  }
}
