/** Acknowledgements on their way to the route: gathered by session, of each conversation the highest seq. */
import type { Cursor } from "../proto/ack.ts";
import type { Session } from "./sessions.ts";

/** Cursors gathered for one session; what goes beyond is not acknowledged, and so comes again. */
const MAX_CURSORS = 1000;
/** Up to so many are found faster by looking at each than in a map, which would have to be made every second. */
const FEW = 8;

class Cursors {
  readonly all: Cursor[] = [];
  #places: Map<string, Cursor> | null = null;

  add(conversation: string, seq: number): void {
    const known = this.#find(conversation);
    if (known) known.seq = Math.max(known.seq, seq);
    else if (this.all.length < MAX_CURSORS) {
      const cursor = { conversation, seq };
      this.all.push(cursor);
      if (this.#places) this.#places.set(conversation, cursor);
      else if (this.all.length > FEW) this.#places = new Map(this.all.map((one) => [one.conversation, one]));
    }
  }

  #find(conversation: string): Cursor | undefined {
    if (this.#places) return this.#places.get(conversation);
    for (const cursor of this.all) if (cursor.conversation === conversation) return cursor;
    return undefined;
  }
}

export class Acks {
  // By the session as an object: to look for its id as text would be to read both.
  readonly #bySession = new Map<Session, Cursors>();

  get size(): number {
    return this.#bySession.size;
  }

  add(session: Session, conversation: string, seq: number): void {
    let cursors = this.#bySession.get(session);
    if (!cursors) {
      cursors = new Cursors();
      this.#bySession.set(session, cursors);
    }
    cursors.add(conversation, seq);
  }

  /** Adds what `other` has, of all sessions or of one, and takes it from there. */
  takeOver(other: Acks, of?: Session): void {
    for (const session of of ? [of] : other.#bySession.keys()) {
      const cursors = other.#bySession.get(session);
      if (!cursors) continue;
      other.#bySession.delete(session);
      if (!this.#bySession.has(session)) this.#bySession.set(session, cursors);
      else for (const { conversation, seq } of cursors.all) this.add(session, conversation, seq);
    }
  }

  /** What one session has, which is not here any more. */
  take(session: Session): readonly Cursor[] {
    const cursors = this.#bySession.get(session);
    this.#bySession.delete(session);
    return cursors?.all ?? [];
  }

  /** The session that has waited longest. */
  first(): Session | undefined {
    return this.#bySession.keys().next().value;
  }
}
