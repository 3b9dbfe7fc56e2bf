import { Mistake } from "./problem.ts";

/** What a line that was typed means. */
export type Line =
  | { kind: "nothing" }
  | { kind: "command"; name: string; rest: string }
  | { kind: "say"; text: string }
  | { kind: "tell"; to: string; text: string };

// A smiley like ":)" is no command.
const COMMAND = /^:([a-z][a-z0-9]*!?)(?:\s+(.*))?$/is;
const SEPARATOR = ";;";

/** @throws Mistake for a private message without a receiver or a text */
export function parseLine(typed: string): Line {
  const line = typed.trim();
  if (line === "") return { kind: "nothing" };
  const command = COMMAND.exec(line);
  if (command) return { kind: "command", name: command[1]!.toLowerCase(), rest: (command[2] ?? "").trim() };
  const at = line.indexOf(SEPARATOR);
  if (at < 0) return { kind: "say", text: line };
  // Only the first separator is one: the text may hold more of them.
  const to = line.slice(0, at).trim();
  const text = line.slice(at + SEPARATOR.length).trim();
  if (to === "") throw new Mistake({ what: "no-receiver", given: line });
  if (text === "") throw new Mistake({ what: "no-text", given: line });
  return { kind: "tell", to, text };
}
