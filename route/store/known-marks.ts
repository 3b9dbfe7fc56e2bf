/** The marks that this process set or took up, and how far it is with each: what Redis does not know. */

/** What is to be pushed, as it stands in Redis: runs of messages that one call put at the ends of conversations. */
export interface Mark {
  /** The shard whose marks it is among. */
  home: number;
  /** Nothing in it was accepted before, milliseconds since 1970. */
  since: number;
  /** `<conversation> <first seq> <last seq>` of each run, between commas; "" for none. */
  text: string;
}

/** Messages that follow one another, some of which are still to be pushed. */
export interface Run {
  readonly conversation: string;
  /** All before this were pushed. */
  readonly next: number;
  readonly last: number;
  /** Of those from `next` on: the ones that were pushed; null for none, as mostly. */
  readonly pushed: ReadonlySet<number> | null;
}

/** A mark that comes off, but for what is still to be pushed. */
export interface Change {
  mark: Readonly<Mark>;
  /** The text of the mark that takes its place; "" for none. */
  rest: string;
}

interface Known extends Mark {
  runs: OpenRun[];
  /** How many of the runs are still to be pushed. */
  left: number;
}

interface OpenRun {
  mark: Known;
  conversation: string;
  first: number;
  last: number;
  next: number;
  pushed: Set<number> | null;
}

/**
 * What holds a mark up (a server that does not answer) stands alone in it after this time, and before another route takes
 * the mark up and pushes all that is in it again.
 */
const PARTED_AFTER_MS = 500;
/** Runs that are forgotten come back with the sweep; so many that it says something else is wrong. */
const MAX_RUNS = 100_000;

export class KnownMarks {
  /** By their texts, oldest first. */
  readonly #marks = new Map<string, Known>();
  /** Of each conversation, in the order of their seqs. */
  readonly #runs = new Map<string, OpenRun[]>();
  #count = 0;
  /** Marks all of whose runs were pushed, and those some of whose runs were, by when the first of them was. */
  readonly #done = new Set<Known>();
  readonly #parted = new Map<Known, number>();
  /** What is left of each mark that is being changed. */
  readonly #changing = new Map<Known, OpenRun[]>();

  /** It was set by this process just now. Answers its runs. */
  set(mark: Mark): readonly Run[] {
    return this.#add(opened(mark));
  }

  /** It was found. Answers what of it is still to be pushed, as far as is known here. */
  find(mark: Mark): readonly Run[] {
    const known = this.#marks.get(mark.text);
    if (known) return known.runs.filter(isLeft);
    return this.#add(opened(mark));
  }

  /** The message was pushed. @param now milliseconds */
  pushed(conversation: string, seq: number, now: number): void {
    const run = this.#runOf(conversation, seq);
    if (run && push(run, seq)) this.#finish(run, now);
  }

  /** None of these will ever be pushed. */
  drop({ conversation, next, last }: Run, now: number): void {
    const run = this.#runOf(conversation, next);
    if (run?.last !== last) return;
    run.next = last + 1;
    this.#finish(run, now);
  }

  /** Whether there is something to change, now or later. */
  get waiting(): boolean {
    return this.#done.size + this.#parted.size > 0;
  }

  /** What is to change in Redis; not answered again until it is `made` or has `failed`. @param now milliseconds */
  changes(now: number): Change[] {
    const due = [...this.#done];
    this.#done.clear();
    for (const [mark, since] of this.#parted) {
      if (since > now - PARTED_AFTER_MS) break;
      due.push(mark);
    }
    return due.map((mark) => {
      const left = mark.runs.filter(isLeft);
      this.#parted.delete(mark);
      this.#changing.set(mark, left);
      return { mark, rest: left.map(textOf).join(",") };
    });
  }

  /** @param there whether the mark still was; else another route has it in hand */
  made({ mark, rest }: Change, there: boolean, now: number): void {
    const known = this.#marks.get(mark.text);
    if (!known) return;
    const runs = this.#changing.get(known) ?? [];
    this.#forget(known);
    if (!there || runs.length === 0) return;
    const successor: Known = { ...known, text: rest, runs, left: runs.filter(isLeft).length };
    for (const run of runs) run.mark = successor;
    this.#add(successor);
    this.#note(successor, now);
  }

  failed({ mark }: Change, now: number): void {
    const known = this.#marks.get(mark.text);
    if (!known) return;
    this.#changing.delete(known);
    this.#note(known, now);
  }

  #finish({ mark }: OpenRun, now: number): void {
    mark.left--;
    if (!this.#changing.has(mark)) this.#note(mark, now);
  }

  /** Sees to it that what was pushed of a mark comes off. */
  #note(mark: Known, now: number): void {
    if (mark.left === 0) {
      this.#parted.delete(mark);
      this.#done.add(mark);
    } else if (mark.left < mark.runs.length && !this.#parted.has(mark)) this.#parted.set(mark, now);
  }

  #add(mark: Known): readonly Run[] {
    for (const run of mark.runs) {
      // Another route may have put a smaller mark in the place of one that is known here, or the sweep may have found one
      // before its append was answered: the last that was heard counts.
      for (let other = this.#overlapping(run); other; other = this.#overlapping(run))
        this.#forget(other.mark);
      const others = this.#runs.get(run.conversation);
      if (others) others.splice(placeOf(run.first, others), 0, run);
      else this.#runs.set(run.conversation, [run]);
    }
    if (mark.runs.length > 0) this.#marks.set(mark.text, mark);
    this.#count += mark.runs.length;
    while (this.#count > MAX_RUNS) this.#forget(this.#marks.values().next().value!);
    return mark.runs;
  }

  #forget(mark: Known): void {
    this.#marks.delete(mark.text);
    this.#done.delete(mark);
    this.#parted.delete(mark);
    this.#changing.delete(mark);
    this.#count -= mark.runs.length;
    for (const run of mark.runs) {
      const runs = this.#runs.get(run.conversation)!;
      if (runs.length === 1) this.#runs.delete(run.conversation);
      else runs.splice(placeOf(run.first, runs), 1);
    }
  }

  #overlapping({ conversation, first, last }: OpenRun): OpenRun | undefined {
    const runs = this.#runs.get(conversation);
    const run = runs?.[placeOf(first, runs)];
    return run && run.first <= last ? run : undefined;
  }

  #runOf(conversation: string, seq: number): OpenRun | undefined {
    const runs = this.#runs.get(conversation);
    const run = runs?.[placeOf(seq, runs)];
    return run && run.first <= seq ? run : undefined;
  }
}

/** Where the run is that ends with this seq or after it; they do not overlap. */
function placeOf(seq: number, runs: readonly OpenRun[]): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (runs[middle]!.last < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isLeft({ next, last }: Run): boolean {
  return next <= last;
}

/** One of the run was pushed, mostly the next; answers whether that was the last one. */
function push(run: OpenRun, seq: number): boolean {
  if (seq !== run.next) {
    if (seq < run.next) return false;
    run.pushed ??= new Set();
    run.pushed.add(seq);
    return false;
  }
  run.next++;
  while (run.pushed?.delete(run.next)) run.next++;
  return run.next > run.last;
}

function textOf({ conversation, next, last }: Run): string {
  return `${conversation} ${next} ${last}`;
}

function opened(found: Mark): Known {
  const mark: Known = { ...found, runs: [], left: 0 };
  if (found.text === "") return mark;
  for (const text of found.text.split(",")) {
    const [conversation, from, to] = text.split(" ") as [string, string, string];
    const first = Number(from);
    mark.runs.push({ mark, conversation, first, last: Number(to), next: first, pushed: null });
  }
  mark.left = mark.runs.length;
  return mark;
}
