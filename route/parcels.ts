/** The messages of one push, sorted by the servers they go to, and which of them have reached all of theirs. */
import { type Fate, keyOf, type Target } from "./downlinks.ts";

/** What goes to one server together: messages, and the encoded item of each. */
export interface Parcel<M> {
  readonly target: Target;
  readonly messages: M[];
  readonly items: Uint8Array[];
}

export class Parcels<M> {
  readonly #byTarget = new Map<string, Parcel<M>>();
  /** How many servers each message has still to reach. */
  readonly #left = new Map<M, number>();

  /** The message goes nowhere but where it is put. */
  add(message: M): void {
    this.#left.set(message, 0);
  }

  /** Once for each message and server, however many of its receivers are there. */
  put(target: Target, message: M, item: Uint8Array): void {
    const parcel = this.#byTarget.getOrInsertComputed(keyOf(target), () => ({
      target,
      messages: [],
      items: [],
    }));
    if (parcel.messages.at(-1) === message) return;
    parcel.messages.push(message);
    parcel.items.push(item);
    this.#left.set(message, (this.#left.get(message) ?? 0) + 1);
  }

  all(): Iterable<Parcel<M>> {
    return this.#byTarget.values();
  }

  /** Messages that go nowhere. */
  nowhere(): M[] {
    return [...this.#left].filter(([, left]) => left === 0).map(([message]) => message);
  }

  /** These have met their fate at one server; answers those for which that was the last one, and none is left behind. */
  settled(messages: readonly M[], fate: Fate): M[] {
    if (fate === "left") return [];
    return messages.filter((message) => {
      const left = this.#left.get(message)! - 1;
      this.#left.set(message, left);
      return left === 0;
    });
  }
}
