/** Puts receipts that come in one go, for messages that follow one another, into one line: thousands come from a pipe. */
import type { Event } from "./events.ts";

type Sent = Event & { type: "sent" };

/** What is shown: any event, or the receipts of the messages from one to another, without holes. */
export type Shown = Exclude<Event, Sent> | { type: "receipts"; from: Sent; to: Sent };

export class Receipts {
  readonly #show: (shown: Shown) => void;
  #run: (Shown & { type: "receipts" }) | null = null;

  constructor(show: (shown: Shown) => void) {
    this.#show = show;
  }

  /** Everything passes here, and keeps its order. */
  show(event: Event): void {
    if (event.type === "sent") {
      this.#add(event);
      return;
    }
    this.flush();
    this.#show(event);
  }

  /** Shows what is held back. */
  flush(): void {
    const run = this.#run;
    this.#run = null;
    if (run) this.#show(run);
  }

  // What comes at the same moment and goes on with the same conversation is shown with it.
  #add(sent: Sent): void {
    if (this.#run && follows(this.#run.to, sent)) {
      this.#run.to = sent;
      return;
    }
    this.flush();
    this.#run = { type: "receipts", from: sent, to: sent };
    setImmediate(() => this.flush());
  }
}

function follows(before: Sent, sent: Sent): boolean {
  const { conversation, seq, receiverOnline } = before;
  return sent.conversation === conversation && sent.seq === seq + 1 && sent.receiverOnline === receiverOnline;
}
