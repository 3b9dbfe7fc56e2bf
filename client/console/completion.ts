/** What Tab offers: commands, and the names of people where one is written to. */
import type { Client } from "../sdk/client.ts";
import type { Person } from "./events.ts";
import { harmlessLine } from "./harmless.ts";
import { COMMAND, SEPARATOR, USER_ID } from "./line.ts";
import type { People } from "./people.ts";

export interface Completion {
  /** What may stand in place of `part`. */
  offers: string[];
  /** The end of what is typed. */
  part: string;
}

export interface Sources {
  commands: readonly string[];
  /** Whose names begin so. */
  people(prefix: string): Promise<Person[]>;
}

const MAX_OFFERS = 50;
/** How long the route is waited for. */
const ASK_MS = 1000;
/** `:delay` takes what is said to somebody, `:pu` and `:q` a name alone. */
const WITH_NAME = /^:(delay|pu|q)\s+(.*)$/is;

export async function complete(typed: string, { commands, people }: Sources): Promise<Completion> {
  const [, command, rest] = WITH_NAME.exec(typed) ?? [];
  if (typed.startsWith(":") && command === undefined) {
    return { offers: commands.filter((one) => one.startsWith(typed)), part: typed };
  }
  const part = rest ?? typed;
  if (part.trim() === "" || part.includes(SEPARATOR)) return { offers: [], part };
  const isTold = command === undefined || command.toLowerCase() === "delay";
  const names = (await people(part)).map(({ userName }) => userName).filter(isTypeable);
  const offers = [...new Set(names)].toSorted().slice(0, MAX_OFFERS);
  return { offers: offers.map((name) => (isTold ? name + SEPARATOR : name)), part };
}

/** Those online whose names begin so, and those heard of; the latter alone when the route does not answer. */
export async function peopleStartingWith(
  prefix: string,
  people: People,
  client: Pick<Client, "onlineUsers" | "userId">,
): Promise<Person[]> {
  const ask = async () => {
    let count = 0;
    for await (const user of client.onlineUsers({ prefix })) {
      people.learn(user);
      if (++count === MAX_OFFERS) break;
    }
  };
  await Promise.race([ask().catch(() => {}), Bun.sleep(ASK_MS)]);
  return people.startingWith(prefix).filter(({ userId }) => userId !== client.userId);
}

/** Whether the name, typed, means the person: others are reached by their userId. */
function isTypeable(name: string): boolean {
  const isOther = name.includes(SEPARATOR) || COMMAND.test(name) || USER_ID.test(name);
  return !isOther && name === harmlessLine(name);
}
