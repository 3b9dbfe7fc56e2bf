/** What a person sees: a program in a pseudo-terminal, and the screen that what it prints makes. */
import { until } from "../../support/until.ts";

const COLUMNS = 80;
const SEQUENCE = /^\x1b\[([\d;?]*)([A-Za-z])/;

export class Glass {
  readonly #process: Bun.Subprocess;
  readonly #terminal: Bun.Terminal;
  #rows: string[][] = [[]];
  #row = 0;
  #column = 0;
  /** The beginning of a sequence whose rest has not come yet. */
  #rest = "";

  constructor(command: string[], env: Record<string, string>) {
    const decoder = new TextDecoder();
    this.#terminal = new Bun.Terminal({
      cols: COLUMNS,
      rows: 500,
      data: (_, bytes) => this.#print(decoder.decode(bytes, { stream: true })),
    });
    this.#process = Bun.spawn(command, { terminal: this.#terminal, env });
  }

  /** The lines on the screen, without what is empty at its end. */
  get lines(): string[] {
    return this.#rows
      .map((row) => row.join("").trimEnd())
      .join("\n")
      .trimEnd()
      .split("\n");
  }

  /** The last line, with the cursor as "|". */
  get input(): string {
    const row = [...(this.#rows[this.#row] ?? [])];
    while (row.length < this.#column) row.push(" ");
    row.splice(this.#column, 0, "|");
    return row.join("").trimEnd();
  }

  get exited(): Promise<number> {
    return this.#process.exited;
  }

  type(keys: string): void {
    this.#terminal.write(keys);
  }

  async shows(text: string): Promise<void> {
    await until(`the screen shows ${text}`, () => this.lines.join("\n").includes(text)).catch((error) => {
      throw new Error(`${(error as Error).message}; it shows:\n${this.lines.join("\n")}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
    this.#terminal.close();
  }

  #print(printed: string): void {
    let text = this.#rest + printed;
    this.#rest = "";
    while (text !== "") {
      const sequence = SEQUENCE.exec(text);
      if (sequence) {
        this.#control(Number(sequence[1] || 1), sequence[2]!, sequence[1]!);
        text = text.slice(sequence[0].length);
      } else if (text[0] === "\x1b") {
        this.#rest = text;
        return;
      } else {
        const character = String.fromCodePoint(text.codePointAt(0)!);
        this.#put(character);
        text = text.slice(character.length);
      }
    }
  }

  #put(character: string): void {
    if (character === "\r") this.#column = 0;
    else if (character === "\n") this.#goTo(this.#row + 1, this.#column);
    else if (character >= " ") {
      const width = Bun.stringWidth(character);
      if (this.#column + width > COLUMNS) this.#goTo(this.#row + 1, 0);
      const row = this.#rows[this.#row]!;
      while (row.length < this.#column) row.push(" ");
      row[this.#column] = character;
      // The second half of a wide character.
      if (width === 2) row[this.#column + 1] = "";
      this.#column += width;
    }
  }

  #control(count: number, letter: string, parameters: string): void {
    if (letter === "A") this.#goTo(Math.max(0, this.#row - count), this.#column);
    else if (letter === "B") this.#goTo(this.#row + count, this.#column);
    else if (letter === "C") this.#column += count;
    else if (letter === "D") this.#column = Math.max(0, this.#column - count);
    else if (letter === "G") this.#column = count - 1;
    else if (letter === "K" || letter === "J") {
      this.#rows[this.#row] = this.#rows[this.#row]!.slice(0, this.#column);
      if (letter === "J") this.#rows.length = this.#row + 1;
    } else if (letter !== "m" && letter !== "h" && letter !== "l") {
      throw new Error(`a sequence this glass does not know: CSI ${parameters} ${letter}`);
    }
  }

  #goTo(row: number, column: number): void {
    while (this.#rows.length <= row) this.#rows.push([]);
    this.#row = row;
    this.#column = column;
  }
}
