/**
 * Rounds in which every client is told to ask for what it lacks, because messages may have passed this server by. A few
 * clients at a time; whoever connects meanwhile asks anyway.
 */
import { SLICE } from "./fanout.ts";

interface Clients {
  all(): Iterable<{ readonly party: { lookAgain(everything: boolean): void } | null }>;
}

export class LookAgain {
  readonly #clients: Clients;
  #running = false;
  /** The next round, asked for during one; `everything` as for `start`. */
  #next: { everything: boolean } | null = null;

  constructor(clients: Clients) {
    this.#clients = clients;
  }

  /** @param everything not only messages to everyone, and each session is confirmed anew */
  start(everything: boolean): void {
    this.#next = { everything: everything || this.#next?.everything === true };
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let round = this.#take(); round !== null; round = this.#take()) {
      let count = 0;
      for (const { party } of this.#clients.all()) {
        party?.lookAgain(round.everything);
        if (++count % SLICE === 0) await new Promise(setImmediate);
      }
    }
    this.#running = false;
  }

  #take(): { everything: boolean } | null {
    const next = this.#next;
    this.#next = null;
    return next;
  }
}
