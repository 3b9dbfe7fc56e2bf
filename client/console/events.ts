/** Everything the console tells: printed as a line of JSON each with --json, else put into words by render.ts. */
import type { StatusName } from "../../proto/status.ts";
import type { Problem } from "./problem.ts";
import type { CommandName } from "./texts/texts.ts";

export interface Person {
  userId: number;
  userName: string;
}

/** Something said, here or elsewhere, as it is shown and kept. */
export interface Said {
  conversation: string;
  seq: number;
  messageId: string;
  from: Person;
  /** Who it was told, if one alone was, and not this account. */
  to?: Person;
  /** Milliseconds since 1970. */
  at: number;
  own: boolean;
  text?: string;
  /** base64 */
  data?: string;
}

/** A message to be sent later. */
export interface Delayed {
  id: number;
  conversation: string;
  /** Who it is for; null for everyone. */
  to: Person | null;
  text: string;
  messageId: string;
  /** When it is to be sent, milliseconds since 1970. */
  at: number;
}

export type Event =
  /** Told only to a person, and only if it takes a while. */
  | { type: "connecting"; route: string }
  | { type: "ready"; user: Person; route: string; registered: boolean }
  | ({ type: "message" } & Said)
  /** Told only to a person: so many that everyone was told, while one was away, are not shown. */
  | { type: "skipped"; count: number }
  | { type: "queued"; to: Person | null; text: string }
  | {
      type: "sent";
      to: Person | null;
      text: string;
      conversation: string;
      seq: number;
      messageId: string;
      receiverOnline: boolean;
    }
  | { type: "refused"; to: Person | null; text: string; status: StatusName; reason: string }
  | { type: "password-changed" }
  /** Messages without a receipt are kept for the next start. */
  | { type: "kept"; count: number }
  | { type: "disconnected"; reason: string; text: string; delayMs: number }
  | { type: "connected" }
  | { type: "commands"; commands: CommandName[] }
  | { type: "users"; users: Person[]; prefix: string; more: boolean }
  | { type: "found"; keyword: string; total: number; said: Said[] }
  | { type: "ai"; on: boolean }
  /** Told only to a person: a model has a question, whose answer may take a while. */
  | { type: "asked"; model: string }
  /** `continued`: a further line of an answer that comes in several. */
  | { type: "answer"; text: string; continued?: boolean }
  /** The answer that was under way was called off. */
  | { type: "stopped" }
  | { type: "info"; info: Info }
  | { type: "emoji"; page: number; pages: number; emoji: string[] }
  | { type: "delayed"; delayed: Delayed }
  | { type: "undelayed"; delayed: Delayed }
  | { type: "delays"; delays: Delayed[] }
  | { type: "forgotten" }
  | { type: "hint" }
  | { type: "problem"; problem: Problem }
  | { type: "closed"; reason: string; text: string };

export interface Info {
  user: Person;
  device: string;
  state: string;
  route: string;
  server: string;
  sessionId: string;
  pending: number;
  delays: number;
  history: string;
}
