import { Mistake } from "./problem.ts";

/** What a line that was typed means. */
export type Line =
  | { kind: "nothing" }
  | { kind: "command"; name: string; rest: string }
  | { kind: "say"; text: string }
  | { kind: "tell"; to: string; text: string };

// A smiley like ":)" is no command.
export const COMMAND = /^:([a-z][a-z0-9]*!?)(?:\s+(.*))?$/is;
export const SEPARATOR = ";;";
/** What stands for the account itself, not for its name. */
export const USER_ID = /^[1-9]\d{0,15}$/;

/**
 * @param as "question": nobody is written to, and ";;" has no meaning
 * @throws Mistake for a private message without a receiver or a text
 */
export function parseLine(typed: string, as: "talk" | "question" = "talk"): Line {
  const line = typed.trim();
  if (line === "") return { kind: "nothing" };
  const command = COMMAND.exec(line);
  if (command) return { kind: "command", name: command[1]!.toLowerCase(), rest: (command[2] ?? "").trim() };
  const at = line.indexOf(SEPARATOR);
  if (at < 0 || as === "question") return { kind: "say", text: line };
  // Only the first separator is one: the text may hold more of them.
  const to = line.slice(0, at).trim();
  const text = line.slice(at + SEPARATOR.length).trim();
  if (to === "") throw new Mistake({ what: "no-receiver", given: line });
  if (text === "") throw new Mistake({ what: "no-text", given: line });
  return { kind: "tell", to, text };
}
