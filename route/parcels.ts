/** The messages of one push, sorted by the servers they go to, and which of them have reached all of theirs. */
import { type Fate, keyOf, type Target } from "./downlinks.ts";

/** What goes to one server together: messages, by their places in the push, and the bytes of their items. */
export interface Parcel {
  readonly target: Target;
  readonly messages: number[];
  /** From where to where in what the push wrote, in turns; what lies side by side is one span. */
  readonly spans: number[];
}

export class Parcels {
  readonly #byTarget = new Map<string, Parcel>();
  /** How many servers each message has still to reach. */
  readonly #left: Uint32Array;

  /** @param count of the messages of the push */
  constructor(count: number) {
    this.#left = new Uint32Array(count);
  }

  /** The parcel of a server, as yet empty if it is the first time. */
  to(target: Target): Parcel {
    const key = keyOf(target);
    const known = this.#byTarget.get(key);
    if (known) return known;
    const parcel: Parcel = { target, messages: [], spans: [] };
    this.#byTarget.set(key, parcel);
    return parcel;
  }

  /** Puts a message in, whose item lies from `start` to `end`; once, however many of its receivers are there. */
  put(parcel: Parcel, message: number, start: number, end: number): void {
    const { messages, spans } = parcel;
    if (messages.at(-1) === message) return;
    messages.push(message);
    if (spans.at(-1) === start) spans[spans.length - 1] = end;
    else spans.push(start, end);
    this.#left[message]!++;
  }

  /** Those with something in them. */
  all(): Parcel[] {
    return [...this.#byTarget.values()].filter(({ messages }) => messages.length > 0);
  }

  /** Whether a message goes nowhere, or has been everywhere. */
  isDone(message: number): boolean {
    return this.#left[message] === 0;
  }

  /** These have met their fate at one server; answers those for which that was the last one, and none is left behind. */
  settled(messages: readonly number[], fate: Fate): number[] {
    return fate === "left" ? [] : messages.filter((message) => --this.#left[message]! === 0);
  }
}

/** The items of a parcel, in as few pieces as they lie in. */
export function piecesOf({ spans }: Parcel, written: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let i = 0; i < spans.length; i += 2) pieces.push(written.subarray(spans[i], spans[i + 1]));
  return pieces;
}
