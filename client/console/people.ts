/** Whom this console has heard of: their names can be completed, and written to while the route cannot be asked. */
import type { Person } from "./events.ts";

const MAX_KNOWN = 10_000;

export class People {
  readonly #recall: () => Iterable<Person>;
  readonly #byName = new Map<string, Person>();
  readonly #byId = new Map<number, Person>();
  #recalled = false;

  /** @param recall who was heard of in earlier runs; asked once, when it first matters */
  constructor(recall: () => Iterable<Person>) {
    this.#recall = recall;
  }

  /** Neither the name nor the userId of an account ever changes. */
  learn(person: Person): void {
    const { userId, userName } = person;
    if (userName === "" || this.#byId.has(userId) || this.#byId.size >= MAX_KNOWN) return;
    const known = { userId, userName };
    this.#byId.set(userId, known);
    this.#byName.set(userName, known);
  }

  named(userName: string): Person | null {
    this.#recallOnce();
    return this.#byName.get(userName) ?? null;
  }

  /** With an empty name when it is not known. */
  withId(userId: number): Person {
    this.#recallOnce();
    return this.#byId.get(userId) ?? { userId, userName: "" };
  }

  /** Whose names begin so, whatever the case. */
  startingWith(prefix: string): Person[] {
    this.#recallOnce();
    const wanted = prefix.toLowerCase();
    return [...this.#byId.values()].filter(({ userName }) => userName.toLowerCase().startsWith(wanted));
  }

  #recallOnce(): void {
    if (this.#recalled) return;
    this.#recalled = true;
    for (const person of this.#recall()) this.learn(person);
  }
}
