/**
 * The bytes a socket would not take yet, and when what there is to write is written: at once while little happens,
 * once a turn of the event loop for all that gathered while much does. The kernel's write is what costs, not its size.
 */

/** The part of a socket an outbox needs. */
export interface Sink {
  /** Takes as many of the bytes as it can and answers how many; less than 0 when it is closed. Must not keep them. */
  write(bytes: Uint8Array): number;
  /** All that an earlier `send` left waiting has been taken. */
  emptied?(): void;
}

/** "slow": the bytes would go over the limit, and none of them was taken. "closed": nobody will get them. */
export type Sent = "taken" | "slow" | "closed";

/** The most that is copied together for one write. */
const GATHER_BYTES = 128 * 1024;

// One for all: a sink does not keep what it is given.
const scratch = new Uint8Array(GATHER_BYTES);

/** Turns of the event loop, counted only while somebody writes. */
export class Turns {
  /** Differs from turn to turn. */
  current = 0;
  #due: Outbox[] = [];
  #scheduled = false;

  /** @param schedule runs a function when the turn is over */
  constructor(readonly schedule: (over: () => void) => void = setImmediate) {}

  /** Have `outbox` flushed when the turn is over; without one, only have it end. */
  end(outbox?: Outbox): void {
    if (outbox) this.#due.push(outbox);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.schedule(this.#over);
  }

  readonly #over = () => {
    this.#scheduled = false;
    this.current++;
    const due = this.#due;
    this.#due = [];
    for (const outbox of due) outbox.flush();
  };
}

const turns = new Turns();

export class Outbox {
  readonly #sink: Sink;
  readonly #limit: number;
  readonly #turns: Turns;
  #waiting: Uint8Array[] | null = null;
  #unsent = 0;
  /** In which turn it wrote last. */
  #wrote = -1;
  #state: "open" | "blocked" | "closed" = "open";

  /** @param maxUnsentBytes what may wait before the reader counts as slow */
  constructor(sink: Sink, maxUnsentBytes: number, shared: Turns = turns) {
    this.#sink = sink;
    this.#limit = maxUnsentBytes;
    this.#turns = shared;
  }

  /** Bytes that have not left for the socket; Infinity once it is closed, since what it took last may be lost. */
  get unsent(): number {
    return this.#closed ? Number.POSITIVE_INFINITY : this.#unsent;
  }

  /**
   * Writes the bytes, now if this is the first in this turn, else together with what follows until its end. They
   * may be the same for many outboxes and must not change afterwards.
   * @param more the same turn brings more, so that waiting for it is better than writing now
   */
  send(bytes: Uint8Array, more = false): Sent {
    if (this.#state === "closed") return "closed";
    if (this.#unsent + bytes.length > this.#limit) return "slow";
    if (this.#waiting === null && !more && this.#wrote !== this.#turns.current) return this.#sendNow(bytes);
    this.#add(bytes);
    if (this.#state === "open" && this.#waiting!.length === 1) this.#turns.end(this);
    return "taken";
  }

  /**
   * Writes what answers the one thing that was just read: at once, unless something waits. It does not count as the
   * write of its turn, so that nothing has to be done at the turn's end, which costs an idle process as much again.
   */
  answer(bytes: Uint8Array): Sent {
    if (this.#waiting !== null || this.#state !== "open" || bytes.length > this.#limit)
      return this.send(bytes);
    return this.#writeFirst(bytes);
  }

  /** The first of its turn. */
  #sendNow(bytes: Uint8Array): Sent {
    this.#wrote = this.#turns.current;
    this.#turns.end();
    return this.#writeFirst(bytes);
  }

  /** Nothing waits. */
  #writeFirst(bytes: Uint8Array): Sent {
    const taken = this.#sink.write(bytes);
    if (taken === bytes.length) return "taken";
    if (this.#closed) return "closed";
    if (taken < 0) {
      this.close();
      return "closed";
    }
    this.#add(bytes.subarray(taken));
    this.#state = "blocked";
    return "taken";
  }

  get #closed(): boolean {
    return this.#state === "closed";
  }

  /** The socket takes bytes again. */
  drained(): void {
    if (this.#state !== "blocked") return;
    this.#state = "open";
    this.flush();
  }

  /** Writes what waits. */
  flush(): void {
    if (this.#waiting !== null && this.#state === "open" && this.#write()) this.#sink.emptied?.();
  }

  /** Drops what waits; nothing is taken any more. */
  close(): void {
    this.#state = "closed";
    this.#waiting = null;
    this.#unsent = 0;
  }

  #add(bytes: Uint8Array): void {
    this.#unsent += bytes.length;
    if (this.#waiting === null) this.#waiting = [bytes];
    else this.#waiting.push(bytes);
  }

  /** Answers whether the sink took everything. */
  #write(): boolean {
    this.#wrote = this.#turns.current;
    this.#turns.end();
    while (this.#waiting !== null) {
      const { chunk, count } = gather(this.#waiting);
      const taken = this.#sink.write(chunk);
      if (this.#state === "closed") return false;
      if (taken < 0) {
        this.close();
        return false;
      }
      this.#unsent -= taken;
      if (taken < chunk.length) {
        this.#state = "blocked";
        leave(this.#waiting, taken);
        return false;
      }
      if (count < this.#waiting.length) this.#waiting.splice(0, count);
      else this.#waiting = null;
    }
    return true;
  }
}

/** The first of the waiting pieces as one, copied together only if they are several. */
function gather(waiting: readonly Uint8Array[]): { chunk: Uint8Array; count: number } {
  let count = 0;
  let bytes = 0;
  while (count < waiting.length && bytes + waiting[count]!.length <= GATHER_BYTES) {
    bytes += waiting[count++]!.length;
  }
  if (count < 2) return { chunk: waiting[0]!, count: 1 };
  let at = 0;
  for (let i = 0; i < count; i++) {
    scratch.set(waiting[i]!, at);
    at += waiting[i]!.length;
  }
  return { chunk: scratch.subarray(0, bytes), count };
}

/** Takes the first `taken` bytes off. */
function leave(waiting: Uint8Array[], taken: number): void {
  let rest = taken;
  let whole = 0;
  while (rest >= waiting[whole]!.length) rest -= waiting[whole++]!.length;
  waiting[whole] = waiting[whole]!.subarray(rest);
  waiting.splice(0, whole);
}
