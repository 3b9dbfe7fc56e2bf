/** What the console says, in one language. */
import type { StatusName } from "../../../proto/status.ts";
import type { Person } from "../events.ts";
import type { OptionName, Want } from "../options.ts";
import type { Problem } from "../problem.ts";

export interface Texts {
  everyone: string;
  you: string;
  /** A person in a list or at the start of a line; the name is empty when only the userId is known. */
  person(person: Person): string;
  commands: Record<CommandName, { usage: string; help: string }>;
  commandsTitle: string;
  /** What to type to talk, and what that does. */
  talking: [typed: string, meaning: string][];
  /** `--help`. */
  help: {
    title: string;
    usage: string;
    brackets: string;
    meanings: Record<OptionName, string>;
    notes: string[];
  };
  /** What was wrong with the flags. */
  flags: {
    wants: Record<Want, string>;
    missing(flag: string, want: string): string;
    /** `given`: the flag or variable, and its value. */
    wrong(given: string, want: string): string;
    unknown(flag: string): string;
    noSwitch(flag: string, value: string): string;
    extra(word: string): string;
  };
  password: string;
  passwordAgain: string;
  oldPassword: string;
  newPassword: string;
  passwordChanged: string;
  /** `flag` asks for something, and nobody is there. */
  needsTerminal(flag: string): string;
  askRegister(name: string): string;
  yes: RegExp;
  connecting(route: string): string;
  ready(user: Person, route: string): string;
  readyHint: string;
  registered(user: Person): string;
  /** Messages to everyone that came while one was away. */
  skipped(count: number): string;
  queued: string;
  /** `place`: "#5", or "#5–#68" for several that follow one another. */
  accepted(to: string, place: string): string;
  stored(to: string, place: string): string;
  refused(to: string, reason: string): string;
  /** Messages that are sent at the next start. */
  kept(count: number): string;
  /** `reason`: a goodbye, or "lost"; `text`: the same in English. */
  disconnected(reason: string, text: string, seconds: number): string;
  connected: string;
  users(count: number, prefix: string, more: boolean): string;
  found(keyword: string, shown: number, total: number): string;
  aiOn: string;
  aiOff: string;
  asked(model: string): string;
  /** The answer that was under way. */
  stopped: string;
  info: Record<InfoName, string>;
  emoji(page: number, pages: number): string;
  delayed(id: number, to: string, seconds: number): string;
  undelayed(id: number): string;
  noDelays: string;
  delay(id: number, to: string, seconds: number, text: string): string;
  forgotten: string;
  quitHint: string;
  data(bytes: number): string;
  problem(problem: Problem): string;
  closed(reason: string, text: string): string;
  /** The codes in words; `detail` is the server's own, in English. */
  status(status: StatusName, detail: string): string;
  repeatLogin(name: string): string;
  wrongPassword(name: string): string;
  shortPassword(name: string, min: number): string;
  noPassword(name: string): string;
  calledOff: string;
  notRegistered(name: string): string;
  /** How many lines of a pipe came to nothing. */
  failedLines(count: number): string;
}

export type CommandName =
  | "all"
  | "olu"
  | "pu"
  | "q"
  | "q!"
  | "ai"
  | "qai"
  | "info"
  | "emoji"
  | "delay"
  | "undelay"
  | "logout";

export type InfoName =
  | "user"
  | "device"
  | "state"
  | "route"
  | "server"
  | "session"
  | "pending"
  | "delays"
  | "history";
