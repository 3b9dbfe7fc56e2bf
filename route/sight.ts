/**
 * Which servers may lack something because this route did not see them when it was said: the registry came to know
 * of them later, or had given them up while their clients were still connected. Knows no registry and no clock.
 */

/** A server that is in sight (again), and whether only messages to everyone may have passed it by. */
export interface Lacking {
  key: string;
  everything: boolean;
}

/** Servers remembered that are out of sight; one that was forgotten counts as never seen. */
const MAX_REMEMBERED = 10_000;

export class Sight {
  /** Messages to everyone so far; and how many there were when a server was last seen. */
  #said = 0;
  readonly #saidWhenLost = new Map<string, number>();
  readonly #passedBy = new Set<string>();
  #inSight: ReadonlySet<string> = new Set();

  /** A message goes to everyone in sight. */
  saidToEveryone(): void {
    this.#said++;
  }

  /** Something that was for this very server was not handed to it, because it was out of sight. */
  passedBy(key: string): void {
    this.#passedBy.add(key);
    if (this.#passedBy.size > MAX_REMEMBERED) this.#passedBy.delete(first(this.#passedBy));
  }

  /** These are in sight now; answers those that came into sight and may lack something. */
  look(keys: Iterable<string>): Lacking[] {
    const before = this.#inSight;
    this.#inSight = new Set(keys);
    for (const key of before.difference(this.#inSight)) this.#lose(key);
    return [...this.#inSight.difference(before)].flatMap((key) => {
      const everything = this.#passedBy.delete(key);
      const said = this.#said - (this.#saidWhenLost.get(key) ?? 0);
      this.#saidWhenLost.delete(key);
      return everything || said > 0 ? [{ key, everything }] : [];
    });
  }

  #lose(key: string): void {
    this.#saidWhenLost.set(key, this.#said);
    if (this.#saidWhenLost.size > MAX_REMEMBERED) this.#saidWhenLost.delete(first(this.#saidWhenLost.keys()));
  }
}

function first<T>(items: Iterable<T>): T {
  const [item] = items;
  return item!;
}
