/** Where the console reads lines and shows events: a terminal with an input line, or streams. */
import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Event } from "./events.ts";
import { Renderer } from "./render.ts";
import type { Texts } from "./texts/texts.ts";

export interface Streams {
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable & { isTTY?: boolean };
}

export interface ScreenOptions extends Streams {
  texts: Texts;
  json: boolean;
  colors: boolean;
}

export interface Screen {
  /** A person types here, who sees what happens and can be asked. */
  readonly interactive: boolean;
  show(event: Event): void;
  /** Asks for one line; `hidden`: what is typed is not shown. Null when the input ends instead. */
  ask(question: string, hidden?: boolean): Promise<string | null>;
  /** The lines typed until the input ends or `close`. */
  lines(commands: readonly string[]): AsyncIterable<string>;
  prompt(text: string): void;
  close(): void;
}

const QUIT_MS = 2 * 1000;
const HISTORY_LINES = 500;

export function openScreen(options: ScreenOptions): Screen {
  const { stdin, stdout, json } = options;
  return stdin.isTTY && stdout.isTTY && !json ? new Terminal(options) : new Plain(options);
}

/** Lines in, lines out. */
class Plain implements Screen {
  readonly interactive = false;
  readonly #options: ScreenOptions;
  readonly #renderer: Renderer;
  #input: Interface | null = null;

  constructor(options: ScreenOptions) {
    this.#options = options;
    this.#renderer = new Renderer(options.texts, options.colors);
  }

  show(event: Event): void {
    const { json, stdout } = this.#options;
    stdout.write(`${json ? JSON.stringify(event) : this.#renderer.render(event)}\n`);
  }

  async ask(): Promise<null> {
    return null;
  }

  lines(): AsyncIterable<string> {
    this.#input = createInterface({
      input: this.#options.stdin,
      terminal: false,
      crlfDelay: Number.POSITIVE_INFINITY,
    });
    return this.#input;
  }

  prompt(): void {}

  close(): void {
    this.#input?.close();
    this.#options.stdin.destroy();
  }
}

/** A line to type in, below everything that is shown. */
class Terminal implements Screen {
  readonly interactive = true;
  readonly #options: ScreenOptions;
  readonly #renderer: Renderer;
  #input: (Interface & { prevRows?: number }) | null = null;
  #interruptedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ScreenOptions) {
    this.#options = options;
    this.#renderer = new Renderer(options.texts, options.colors);
  }

  show(event: Event): void {
    this.#print(this.#renderer.render(event));
  }

  ask(question: string, hidden = false): Promise<string | null> {
    const { stdin, stdout } = this.#options;
    const output = hidden ? undefined : stdout;
    const input = createInterface({ input: stdin, output, terminal: true, historySize: 0 });
    this.#input = input;
    // Not before the terminal has stopped showing what is typed by itself.
    if (hidden) stdout.write(question);
    else {
      input.setPrompt(question);
      input.prompt();
    }
    return new Promise((resolve) => {
      input.once("line", (line) => {
        resolve(line);
        input.close();
      });
      input.once("close", () => {
        this.#input = null;
        if (hidden) stdout.write("\n");
        resolve(null);
      });
    });
  }

  lines(commands: readonly string[]): AsyncIterable<string> {
    const { stdin, stdout } = this.#options;
    const completer = (line: string): [string[], string] => [
      commands.filter((one) => one.startsWith(line)),
      line,
    ];
    const input = createInterface({
      input: stdin,
      output: stdout,
      terminal: true,
      historySize: HISTORY_LINES,
      completer,
    });
    this.#input = input;
    input.on("SIGINT", () => this.#interrupted(input));
    input.on("close", () => stdout.write("\n"));
    this.prompt("> ");
    return input;
  }

  prompt(text: string): void {
    this.#input?.setPrompt(text);
    this.#input?.prompt(true);
  }

  close(): void {
    this.#input?.close();
    this.#input = null;
  }

  /** Above the line that is being typed, which stays as it is. */
  #print(text: string): void {
    const { stdout } = this.#options;
    const input = this.#input;
    if (!input) {
      stdout.write(`${text}\n`);
      return;
    }
    moveCursor(stdout, 0, -input.getCursorPos().rows);
    cursorTo(stdout, 0);
    clearScreenDown(stdout);
    stdout.write(`${text}\n`);
    // How many rows the input took before: it starts on a new one.
    input.prevRows = 0;
    input.prompt(true);
  }

  #interrupted(input: Interface): void {
    const now = performance.now();
    if (now - this.#interruptedAt < QUIT_MS) {
      input.close();
      return;
    }
    this.#interruptedAt = now;
    // Ctrl-E, Ctrl-U: to the end of the line, and away with it.
    input.write(null, { ctrl: true, name: "e" });
    input.write(null, { ctrl: true, name: "u" });
    this.show({ type: "hint" });
  }
}
