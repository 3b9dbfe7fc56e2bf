/** Who is logged in on which connection. Everything here takes the same time however many there are. */
import type { Connection } from "./connection.ts";

/** One logged-in device, as its token or its claim names it. */
export interface Session {
  readonly userId: number;
  readonly userName: string;
  readonly sessionId: string;
  readonly device: string;
}

export class Sessions {
  readonly #bySession = new Map<string, Connection>();
  /** Most users have one connection, which then needs no set around it. */
  readonly #byUser = new Map<number, Connection | Set<Connection>>();

  get size(): number {
    return this.#bySession.size;
  }

  /** Makes `connection` its session's; answers the one that was until now. */
  add(connection: Connection, session: Session): Connection | null {
    const before = this.#bySession.get(session.sessionId) ?? null;
    if (before) this.#removeFromUser(before, session.userId);
    this.#bySession.set(session.sessionId, connection);
    const held = this.#byUser.get(session.userId);
    if (!held) this.#byUser.set(session.userId, connection);
    else if (held instanceof Set) held.add(connection);
    else this.#byUser.set(session.userId, new Set([held, connection]));
    return before;
  }

  /** Answers whether the connection was its session's: one that was replaced is not any more. */
  remove(connection: Connection, session: Session): boolean {
    if (this.#bySession.get(session.sessionId) !== connection) return false;
    this.#bySession.delete(session.sessionId);
    this.#removeFromUser(connection, session.userId);
    return true;
  }

  bySession(sessionId: string): Connection | null {
    return this.#bySession.get(sessionId) ?? null;
  }

  /** None for a user who is not here. */
  ofUser(userId: number): readonly Connection[] {
    const held = this.#byUser.get(userId);
    if (!held) return NOBODY;
    return held instanceof Set ? [...held] : [held];
  }

  /** Everyone; who comes or goes meanwhile may be among them or not. */
  all(): Iterable<Connection> {
    return this.#bySession.values();
  }

  #removeFromUser(connection: Connection, userId: number): void {
    const held = this.#byUser.get(userId);
    if (held === connection) this.#byUser.delete(userId);
    else if (held instanceof Set) {
      held.delete(connection);
      const [last] = held;
      if (held.size === 1 && last) this.#byUser.set(userId, last);
    }
  }
}

const NOBODY: readonly Connection[] = [];
