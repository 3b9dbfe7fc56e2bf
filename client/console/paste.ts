/** What is pasted into a terminal, as a piece of the line. */
import type { Interface, Key } from "node:readline";

/** The terminal tells pastes from keys: mode 2004 of xterm, "bracketed paste". */
export const TELL_PASTES = "\x1b[?2004h";
export const TELL_NO_PASTES = "\x1b[?2004l";

/** What readline calls for each key; who builds on it replaces it, as the REPL of Node does. */
interface Keys {
  _ttyWrite(typed: string | undefined, key: Partial<Key>): void;
}

/** What a line of readline cannot hold stands in it as a picture. */
const PICTURES: Record<string, string> = { "\n": "␊", "\t": "␉" };
const CONTROL = /[\0-\x08\x0b-\x1f\x7f]/g;

/** Puts what is pasted into the line, where Enter in it sends nothing and Tab completes nothing. */
export function takePastes(input: Interface): void {
  const keys = input as unknown as Keys;
  const write = keys._ttyWrite.bind(input);
  let pasted: string[] | null = null;
  keys._ttyWrite = (typed, key) => {
    if (key.name === "paste-start") pasted = [];
    else if (pasted === null) write(typed, key);
    else if (key.name === "paste-end" || (key.ctrl && key.name === "c")) {
      write(pictured(pasted.join("")), {});
      pasted = null;
    } else if (typed) pasted.push(typed);
  };
}

/** Lines as they were pasted. */
export async function* unpictured(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield line.replaceAll("␊", "\n").replaceAll("␉", "\t");
}

function pictured(pasted: string): string {
  const text = pasted.replaceAll(/\r\n?/g, "\n").replace(/\n+$/, "");
  return text.replaceAll(/[\n\t]/g, (control) => PICTURES[control]!).replaceAll(CONTROL, "");
}
