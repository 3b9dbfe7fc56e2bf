/** Every command of the console. To add one: an entry here, and its words in each language (texts/). */
import type { Client } from "../sdk/client.ts";
import { type Delays, MAX_DELAY_SECONDS } from "./delays.ts";
import { EMOJI_PAGES, emojiPage } from "./emoji.ts";
import type { Event, Info, Person } from "./events.ts";
import type { History } from "./history.ts";
import { parseLine } from "./line.ts";
import type { People } from "./people.ts";
import type { Post } from "./post.ts";
import { Mistake } from "./problem.ts";
import type { CommandName } from "./texts/texts.ts";

/** What a command may use of the console. */
export interface Context {
  client: Client;
  history: History;
  delays: Delays;
  people: People;
  post: Post;
  show(event: Event): void;
  /** Whether lines go to the bot. */
  talkToBot(on: boolean): void;
  info(): Info;
  quit(): void;
  logOut(): Promise<void>;
}

/** @throws Mistake which says what was wrong with what was typed */
type Command = (context: Context, rest: string) => void | Promise<void>;

const MAX_SHOWN_USERS = 200;

export const COMMANDS: Record<CommandName, Command> = {
  all: ({ show }) => show({ type: "commands", commands: Object.keys(COMMANDS) as CommandName[] }),

  olu: (context) => showUsers(context, ""),

  pu: (context, prefix) => {
    if (prefix === "") throw new Mistake({ what: "usage", command: "pu", given: ":pu" });
    return showUsers(context, prefix);
  },

  q({ history, show, quit }, keyword) {
    if (keyword === "") return quit();
    show({ type: "found", keyword, ...history.search(keyword) });
  },

  "q!": ({ quit }) => quit(),

  ai: ({ talkToBot }) => talkToBot(true),

  qai: ({ talkToBot }) => talkToBot(false),

  info: ({ show, info }) => show({ type: "info", info: info() }),

  emoji({ show }, given) {
    const page = given === "" ? 1 : wholeNumber(given);
    if (page < 1 || page > EMOJI_PAGES) throw new Mistake({ what: "page", given, pages: EMOJI_PAGES });
    show({ type: "emoji", page, pages: EMOJI_PAGES, emoji: emojiPage(page) });
  },

  async delay({ delays, post, show }, rest) {
    if (rest === "") return show({ type: "delays", delays: [...delays.waiting] });
    const match = /^(.*)\s(\S+)$/s.exec(rest);
    if (!match) throw new Mistake({ what: "usage", command: "delay", given: `:delay ${rest}` });
    const [, typed, given] = match as unknown as [string, string, string];
    const seconds = wholeNumber(given);
    if (seconds < 1 || seconds > MAX_DELAY_SECONDS) {
      throw new Mistake({ what: "seconds", given, max: MAX_DELAY_SECONDS });
    }
    const line = parseLine(typed);
    const to = line.kind === "tell" ? await post.find(line.to) : null;
    const text = line.kind === "tell" || line.kind === "say" ? line.text : typed.trim();
    const conversation = post.conversationWith(to);
    const at = Date.now() + seconds * 1000;
    const delayed = delays.add({ conversation, to, text, messageId: crypto.randomUUID(), at });
    show({ type: "delayed", delayed });
  },

  undelay({ delays, show }, given) {
    show({ type: "undelayed", delayed: delays.cancel(given) });
  },

  logout: ({ logOut }) => logOut(),
};

export function isCommand(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}

async function showUsers({ client, people, show }: Context, prefix: string): Promise<void> {
  const users: Person[] = [];
  let more = false;
  for await (const user of client.onlineUsers(prefix === "" ? {} : { prefix })) {
    more = users.length === MAX_SHOWN_USERS;
    if (more) break;
    people.learn(user);
    users.push(user);
  }
  show({ type: "users", users, prefix, more });
}

/** 0 for anything else. */
function wholeNumber(given: string): number {
  return /^\d{1,15}$/.test(given) ? Number(given) : 0;
}
