/**
 * Writes messages to their receivers, in slices with the event loop's other work in between: heartbeats and logins
 * never wait for a broadcast, and the messages of one conversation keep their order.
 */
import type { Push } from "./push.ts";
import type { Session } from "./sessions.ts";

/** A connection, as fanning out needs it. */
export interface Receiver {
  readonly party: { readonly session: Session; push(push: Push, more: boolean): void } | null;
}

export interface Receivers {
  ofUser(userId: number): readonly Receiver[];
  all(): Iterable<Receiver>;
}

/** Sockets written to before everything else has its turn. */
export const SLICE = 64;
/** Messages to everyone that are written together, each socket once. */
const MAX_RUN = 64;

/** Called when a push has been written to all its receivers. */
interface Job {
  push: Push;
  done: () => void;
}

export class Fanout {
  readonly #receivers: Receivers;
  readonly #schedule: (turn: () => void) => void;
  /** In order of arrival. */
  #waiting: Job[] = [];
  /** Conversations whose messages go to more than one slice; the rest of what is for them waits there. */
  readonly #lanes = new Map<string, Lane>();
  #running = false;

  /** @param schedule runs a function after the event loop's other work */
  constructor(receivers: Receivers, schedule: (turn: () => void) => void = setImmediate) {
    this.#receivers = receivers;
    this.#schedule = schedule;
  }

  /** Whether there is something left to write. */
  get busy(): boolean {
    return this.#running;
  }

  /** Resolves when all of it is in the receivers' outboxes. */
  deliver(pushes: readonly Push[]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    let left = pushes.length;
    if (left === 0) resolve();
    const done = () => {
      if (--left === 0) resolve();
    };
    for (const push of pushes) this.#waiting.push({ push, done });
    if (!this.#running) this.#turn();
    return promise;
  }

  readonly #turn = () => {
    this.#few();
    this.#many();
    this.#running = this.#waiting.length > 0 || this.#lanes.size > 0;
    if (this.#running) this.#schedule(this.#turn);
  };

  /** Messages to few receivers. */
  #few(): void {
    let budget = SLICE;
    let count = 0;
    while (count < this.#waiting.length && budget > 0) {
      const job = this.#waiting[count++]!;
      const { push } = job;
      const lane = this.#lanes.get(push.conversation);
      if (lane) lane.add(job);
      else if (push.everyone || push.userIds.length > SLICE) {
        this.#lanes.set(push.conversation, new Lane(this.#receivers, job));
      } else {
        // A run of messages for one user is one write, and costs as one.
        const isRun = push.userIds.length === 1 && this.#waiting[count]?.push.userIds[0] === push.userIds[0];
        for (const userId of push.userIds) {
          const written = this.#write(push, this.#receivers.ofUser(userId), isRun);
          if (!isRun) budget -= 1 + written;
        }
        job.done();
      }
    }
    this.#waiting.splice(0, count);
  }

  /** Messages to many: each conversation has its turn. */
  #many(): void {
    let budget = SLICE;
    for (const [conversation, lane] of this.#lanes) {
      budget -= lane.work(budget);
      this.#lanes.delete(conversation);
      // Behind the others.
      if (!lane.finished) this.#lanes.set(conversation, lane);
      if (budget <= 0) return;
    }
  }

  #write(push: Push, receivers: readonly Receiver[], more: boolean): number {
    for (const { party } of receivers) if (party && push.isFor(party.session)) party.push(push, more);
    return receivers.length;
  }
}

/** The messages of one conversation, one run after another. */
class Lane {
  readonly #receivers: Receivers;
  /** Messages to everyone that are not written yet, or not to all, by seq. */
  readonly #broadcasts = new Map<number, Job>();
  #waiting: Job[] = [];
  #run: { jobs: Job[]; receivers: Iterator<Receiver> } | null = null;

  constructor(receivers: Receivers, first: Job) {
    this.#receivers = receivers;
    this.add(first);
  }

  get finished(): boolean {
    return this.#run === null && this.#waiting.length === 0;
  }

  /**
   * A route that got no answer in time hands a message over again. To write it once more to everyone while the first
   * time is not over would make a slow server slower still: both are done when that is.
   */
  add(job: Job): void {
    const { push, done } = job;
    const same = push.everyone ? this.#broadcasts.get(push.seq) : undefined;
    if (same) {
      const first = same.done;
      same.done = () => {
        first();
        done();
      };
      return;
    }
    if (push.everyone) this.#broadcasts.set(push.seq, job);
    this.#waiting.push(job);
  }

  /** Writes to at most `budget` receivers, and answers to how many it did. */
  work(budget: number): number {
    let spent = 0;
    while (spent < budget) {
      this.#run ??= this.#next();
      if (this.#run === null) break;
      const { jobs, receivers } = this.#run;
      const { done, value } = receivers.next();
      if (done) {
        this.#run = null;
        for (const job of jobs) this.#finish(job);
        continue;
      }
      spent++;
      const { party } = value;
      if (!party) continue;
      for (const { push } of jobs) if (push.isFor(party.session)) party.push(push, jobs.length > 1);
    }
    return spent;
  }

  #finish({ push, done }: Job): void {
    if (push.everyone) this.#broadcasts.delete(push.seq);
    done();
  }

  #next(): { jobs: Job[]; receivers: Iterator<Receiver> } | null {
    const [first] = this.#waiting;
    if (!first) return null;
    let count = 1;
    if (first.push.everyone) while (count < MAX_RUN && this.#waiting[count]?.push.everyone) count++;
    const jobs = this.#waiting.splice(0, count);
    const receivers = first.push.everyone
      ? this.#receivers.all()
      : ofUsers(this.#receivers, first.push.userIds);
    return { jobs, receivers: receivers[Symbol.iterator]() };
  }
}

function* ofUsers(receivers: Receivers, userIds: readonly number[]): Iterable<Receiver> {
  for (const userId of userIds) yield* receivers.ofUser(userId);
}
