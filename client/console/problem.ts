import type { StatusName } from "../../proto/status.ts";
import type { CommandName } from "./texts/texts.ts";

/** Why a model gave no whole answer. */
export type ModelFault = "unreachable" | "status" | "timeout" | "size" | "cut" | "refused" | "format";

/** What was wrong with what was typed or asked for; each language has one line for each, which says how to write it. */
export type Problem =
  | { what: "unknown-command"; name: string }
  | { what: "usage"; command: CommandName; given: string }
  /** Of the password that was typed at the start. */
  | { what: "no-password"; name: string }
  | { what: "name-taken"; name: string }
  | { what: "short-password"; min: number }
  | { what: "passwords-differ" }
  | { what: "old-password" }
  | { what: "no-receiver"; given: string }
  | { what: "no-text"; given: string }
  | { what: "no-such-user"; name: string }
  | { what: "yourself" }
  | { what: "seconds"; given: string; max: number }
  | { what: "page"; given: string; pages: number }
  | { what: "no-such-delay"; given: string }
  | { what: "too-many-delays"; limit: number }
  | { what: "in-use"; name: string }
  /** A file of the console, on this machine. */
  | { what: "file"; reason: string }
  | { what: "model"; fault: ModelFault; detail: string }
  | { what: "failed"; status: StatusName; reason: string };

/** Thrown by a command; shown as one line, and the input goes on. */
export class Mistake extends Error {
  override name = "Mistake";

  constructor(readonly problem: Problem) {
    super(problem.what);
  }
}
