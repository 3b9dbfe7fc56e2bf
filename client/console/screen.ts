/** Where the console reads lines and shows events: a terminal with an input line, or streams. */
import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Completion } from "./completion.ts";
import type { Event } from "./events.ts";
import { TELL_NO_PASTES, TELL_PASTES, takePastes, unpictured } from "./paste.ts";
import { Receipts } from "./receipts.ts";
import { Renderer } from "./render.ts";
import type { Texts } from "./texts/texts.ts";

export interface Streams {
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable & { isTTY?: boolean; columns?: number };
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
  lines(typing: Typing): AsyncIterable<string>;
  prompt(text: string): void;
  close(): void;
}

/** What is asked for while a line is typed. */
export interface Typing {
  complete(typed: string): Promise<Completion>;
  /** Ctrl-C: answers whether it stopped something, and so leaves the line alone. */
  interrupt(): boolean;
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
  readonly #receipts = new Receipts((one) => this.#print(this.#renderer.render(one)));
  #input: Interface | null = null;

  constructor(options: ScreenOptions) {
    this.#options = options;
    this.#renderer = new Renderer(options.texts, options.colors);
  }

  show(event: Event): void {
    if (this.#options.json) this.#print(JSON.stringify(event));
    else this.#receipts.show(event);
  }

  #print(text: string): void {
    this.#options.stdout.write(`${text}\n`);
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
    this.#receipts.flush();
    this.#input?.close();
    this.#options.stdin.destroy();
  }
}

/** A line to type in, below everything that is shown. */
class Terminal implements Screen {
  readonly interactive = true;
  readonly #options: ScreenOptions;
  readonly #renderer: Renderer;
  readonly #receipts = new Receipts((one) => this.#print(this.#renderer.render(one)));
  #input: (Interface & { prevRows?: number }) | null = null;
  /** The cursor stands behind a prompt, not on a new line. */
  #prompted = false;
  #interruptedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ScreenOptions) {
    this.#options = options;
    const columns = () => options.stdout.columns || Number.POSITIVE_INFINITY;
    this.#renderer = new Renderer(options.texts, options.colors, columns);
  }

  show(event: Event): void {
    this.#receipts.show(event);
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
    input.on("SIGCONT", () => {
      if (hidden) stdout.write(question);
      input.prompt(true);
    });
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

  lines({ complete, interrupt }: Typing): AsyncIterable<string> {
    const { stdin, stdout } = this.#options;
    const completer = (line: string, offer: (error: Error | null, found: [string[], string]) => void) => {
      complete(line).then(
        ({ offers, part }) => offer(null, [offers, part]),
        () => offer(null, [[], line]),
      );
    };
    const input = createInterface({
      input: stdin,
      output: stdout,
      terminal: true,
      historySize: HISTORY_LINES,
      completer,
    });
    this.#input = input;
    takePastes(input);
    stdout.write(TELL_PASTES);
    input.on("SIGINT", () => interrupt() || this.#interrupted(input));
    input.on("line", () => {
      this.#interruptedAt = Number.NEGATIVE_INFINITY;
      this.#prompted = false;
    });
    // Ctrl-Z, then `fg`: readline waits to be asked for input again.
    input.on("SIGCONT", () => {
      stdout.write(TELL_PASTES);
      input.prompt(true);
    });
    input.on("close", () => {
      stdout.write(`${TELL_NO_PASTES}${this.#prompted ? "\n" : ""}`);
    });
    this.prompt("> ");
    return unpictured(input);
  }

  prompt(text: string): void {
    this.#input?.setPrompt(text);
    this.#input?.prompt(true);
    this.#prompted = true;
  }

  close(): void {
    this.#receipts.flush();
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
    this.#prompted = true;
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
