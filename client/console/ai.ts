/** AI mode: lines are questions, to a model if there is one, else to the built-in bot; nothing of it is sent. */
import { answer } from "./bot.ts";
import type { Event } from "./events.ts";
import { Model, type ModelOptions } from "./model.ts";

export class Ai {
  readonly #model: Model | null;
  readonly #show: (event: Event) => void;
  #on = false;

  /** @param model not set: the built-in bot */
  constructor(model: ModelOptions | undefined, show: (event: Event) => void) {
    this.#model = model ? new Model(model) : null;
    this.#show = show;
  }

  get on(): boolean {
    return this.#on;
  }

  talk(on: boolean): void {
    this.#on = on;
    if (!on) this.end();
    this.#show({ type: "ai", on });
  }

  /** Resolves when the whole answer was shown, or was called off. @throws Mistake when there is none */
  async ask(question: string): Promise<void> {
    if (!this.#model) return this.#show({ type: "answer", text: answer(question) });
    let continued = false;
    await this.#model.ask(question, (text) => {
      this.#show({ type: "answer", text, ...(continued && { continued }) });
      continued = true;
    });
  }

  /** Calls off the answer that is under way; answers whether there was one. */
  stop(): boolean {
    const stopped = this.#model?.stop() ?? false;
    if (stopped) this.#show({ type: "stopped" });
    return stopped;
  }

  /** Calls it off without a word, and forgets what was said. */
  end(): void {
    this.#model?.end();
  }
}
