/** One logged-in device of an account on one start of one server. */
export interface Session {
  readonly userId: number;
  readonly userName: string;
  readonly sessionId: string;
  /** What the account may have one session of: the device's name under `multi`, else "". */
  readonly slot: string;
  readonly device: string;
  /** "ip:port:httpPort" of the server, and which start of it. */
  readonly server: string;
  readonly bootId: string;
  /** False from the claim until a connection followed. */
  readonly confirmed: boolean;
  /** Milliseconds since 1970: when it was claimed, or confirmed; or DOUBTED. */
  readonly since: number;
}

/** The `since` of a session that a CIM v2 peer called over, though its connection may stand. */
export const DOUBTED = 0;

/**
 * Which session holds each slot of an account. Rows say what was claimed, not who is alive: a session counts only
 * while its server does, which the caller knows.
 */
export interface Sessions {
  /** Every session of each of these users; none for a user without. */
  ofUsers(userIds: readonly number[]): Promise<Map<number, readonly Session[]>>;
  /**
   * Put `session` into its slot, in one atomic step, if what is there is what the caller saw: nothing (`null`) or
   * the session of that id. Otherwise changes nothing and answers what is there now.
   * @returns the session in the way (null: the slot is empty after all), or "done"
   */
  put(session: Session, sees: string | null): Promise<"done" | Session | null>;
  /** Empty the slot if this very session holds it; one that is gone or replaced changes nothing. Answers whether it did. */
  remove(userId: number, slot: string, sessionId: string): Promise<boolean>;
  /** Sessions with a userId above `after`, by userId, at most `limit` users' worth. */
  list(after: number, limit: number): Promise<Session[]>;
  /** Never again accept a token of this session (it was logged out) before `until` (ms since 1970), when it expires. */
  revoke(sessionId: string, until: number): Promise<void>;
  /**
   * Never again accept a token of a login that this user made by now, but for those of the session `spared` and what
   * follows from it, before `until` (ms since 1970), when the last of them expires.
   */
  signOut(userId: number, spared: string | null, until: number): Promise<void>;
  /** What the id of a new login of this user is to carry so that a `signOut` before does not refuse it; 0 without one. */
  generation(userId: number): Promise<number>;
  /** Whether a token of this session is refused because of `revoke` or `signOut`. */
  isRevoked(session: Pick<Session, "userId" | "sessionId">): Promise<boolean>;
}
