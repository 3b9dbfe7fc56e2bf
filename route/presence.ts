/** Who may be logged in where: a login's claim to its device's slot, and the connection that follows it. */
import type { Config } from "../common/config.ts";
import { addressOf, isV2, type ServerInstance } from "../common/registry/registry.ts";
import { CimError, type GoodbyeReason } from "../proto/status.ts";
import type { Online } from "./online.ts";
import { firstSessionId, isLater, isSameLogin, nextSessionId } from "./session-id.ts";
import type { Cursors } from "./store/cursors.ts";
import { DOUBTED, type Session, type Sessions } from "./store/sessions.ts";

// A slot that changes under our hands this often in a row is being fought over; the caller may try again.
const MAX_ATTEMPTS = 5;

export interface PresenceParts {
  sessions: Sessions;
  cursors: Cursors;
  online: Pick<Online, "isLive" | "isLapsed">;
  policy: Config["loginPolicy"];
  /** Tell the session's server to end its connection. */
  close: (session: Session, reason: GoodbyeReason) => void;
  /** Have the session's server confirm it anew, if its connection is still there. */
  doubt: (session: Session) => void;
  now?: () => number;
}

/** The session a token names, when a device takes it back. */
export interface OwnSession {
  sessionId: string;
  device: string;
}

/** What a connection's word about its session comes to: accepted, or the goodbye to end it with. */
export type Admission = { session: Session } | { goodbye: GoodbyeReason };

export class Presence {
  readonly #parts: PresenceParts;
  readonly #now: () => number;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
  }

  /** @throws CimError REPEAT_LOGIN when a login on `device` would find a live session in its way */
  async mayLogin(userId: number, device: string, own: OwnSession | null): Promise<void> {
    this.#refuseRepeat(await this.#holder(userId, this.slotOf(device)), own);
  }

  /** What a login that begins now is to claim with, so that a sign-out from here on ends it. */
  generation(userId: number): Promise<number> {
    return this.#parts.sessions.generation(userId);
  }

  /**
   * Claims the device's slot for a new session on `server`. What was there is told to go, also on a server that
   * seems to be gone: it may come back with its connections. A device's own session is not, but has to say that it is
   * still there: the answer to this claim may be lost, and then the device goes on with what it had.
   * @throws CimError REPEAT_LOGIN when a live session stands in the way and the policy lets it
   */
  async claim(
    account: { userId: number; userName: string; generation?: number },
    device: string,
    server: ServerInstance,
    own: OwnSession | null,
  ): Promise<Session> {
    const slot = this.slotOf(device);
    // First, so that a claim that stands has its place in `all`; on its own it stands in nobody's way.
    await this.#parts.cursors.join(account.userId, slot);
    const claim = (holder: Session | null): Session => ({
      userId: account.userId,
      userName: account.userName,
      sessionId: own
        ? nextSessionId([own.sessionId, ...laterThan(own, holder)])
        : firstSessionId(account.generation),
      slot,
      device,
      server: addressOf(server),
      bootId: server.bootId,
      confirmed: false,
      since: this.#now(),
    });
    const before = await this.#holder(account.userId, slot);
    const { session, replaced } = await this.#put(before, (holder) => {
      this.#refuseRepeat(holder, own);
      return claim(holder);
    });
    if (!replaced || !(replaced.confirmed || this.#parts.online.isLive(replaced))) return session;
    const isItsOwn = isSameLogin(replaced.sessionId, session.sessionId);
    if (isItsOwn && !isV2(replaced.bootId)) this.#parts.doubt(replaced);
    else this.#end(replaced, session);
    return session;
  }

  /** A connection with a token of this session is there: the session stands, or the goodbye says why it does not. */
  async confirm(claimed: Session): Promise<Admission> {
    const session = { ...claimed, confirmed: true, since: this.#now() };
    const [isRevoked, holder] = await Promise.all([
      this.#parts.sessions.isRevoked(session),
      this.#holder(session.userId, session.slot),
    ]);
    if (isRevoked) return { goodbye: "logged_out" };
    const wasHere = holder?.sessionId === session.sessionId;
    if (wasHere && holder.confirmed && holder.since !== DOUBTED) return { session: holder };
    try {
      const { replaced } = await this.#put(holder, (current) => {
        // Logged out or released since then: this word comes too late.
        if (wasHere && current === null) throw new Overtaken("session_over");
        this.#refuseOvertaken(session, current);
        return session;
      });
      if (replaced?.confirmed && replaced.sessionId !== session.sessionId) this.#end(replaced, session);
    } catch (error) {
      if (error instanceof Overtaken) return { goodbye: error.goodbye };
      throw error;
    }
    // Who logged it out meanwhile found no row to take away.
    if (!wasHere && (await this.#parts.sessions.isRevoked(session))) {
      await this.#parts.sessions.remove(session.userId, session.slot, session.sessionId);
      return { goodbye: "logged_out" };
    }
    // Without a row the connection came back after its end was noted: its place in `all` is to be kept alive again.
    if (holder === null) await this.#parts.cursors.join(session.userId, session.slot);
    return { session };
  }

  /**
   * A CIM v2 login, which has no token: it may only take a claim that this user, under this name, holds on this
   * very instance, and that no connection has taken yet.
   */
  async adopt(userId: number, userName: string, server: string, bootId: string): Promise<Session | null> {
    const sessions = (await this.#parts.sessions.ofUsers([userId])).get(userId) ?? [];
    const claim = sessions.find(
      (session) =>
        !session.confirmed &&
        session.userName === userName &&
        session.server === server &&
        session.bootId === bootId &&
        this.#parts.online.isLive(session),
    );
    if (!claim) return null;
    const taken = { ...claim, confirmed: true, since: this.#now() };
    return (await this.#parts.sessions.put(taken, claim.sessionId)) === "done" ? taken : null;
  }

  /** What an account may have one session of: each device under `multi`, else the account as a whole. */
  slotOf(device: string): string {
    return this.#parts.policy === "multi" ? device : "";
  }

  #end(replaced: Session, by: Session): void {
    this.#parts.close(replaced, isSameLogin(replaced.sessionId, by.sessionId) ? "replaced" : "kicked");
  }

  async #holder(userId: number, slot: string): Promise<Session | null> {
    const sessions = (await this.#parts.sessions.ofUsers([userId])).get(userId) ?? [];
    return sessions.find((session) => session.slot === slot) ?? null;
  }

  /** Puts what `make` makes of a slot's holder there, and answers what it replaced; `make` throws to stop. */
  async #put(
    seen: Session | null,
    make: (holder: Session | null) => Session,
  ): Promise<{ session: Session; replaced: Session | null }> {
    let holder = seen;
    let session = make(holder);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const found = await this.#parts.sessions.put(session, holder?.sessionId ?? null);
      if (found === "done") return { session, replaced: holder };
      holder = found;
      session = make(holder);
    }
    const { userId } = session;
    throw new CimError("FALLBACK", `the session of user ${userId} changed ${MAX_ATTEMPTS} times meanwhile`);
  }

  /** @throws Overtaken when the slot is another's: of a device's own sessions, the latest that is connected stands */
  #refuseOvertaken(session: Session, holder: Session | null): void {
    if (!holder || holder.sessionId === session.sessionId || !this.#parts.online.isLive(holder)) return;
    if (!isSameLogin(holder.sessionId, session.sessionId)) throw new Overtaken("kicked");
    if (holder.confirmed && !isLater(session.sessionId, holder.sessionId)) throw new Overtaken("replaced");
  }

  #refuseRepeat(holder: Session | null, own: OwnSession | null): void {
    if (this.#parts.policy !== "reject" || !holder || !this.#parts.online.isLive(holder)) return;
    // On a CIM v2 server nobody knows whether a connection followed, or is still there: nobody is locked out by it.
    if (this.#parts.online.isLapsed(holder) || holder.since === DOUBTED) return;
    if (own && isOwn(holder, own)) return;
    throw new CimError("REPEAT_LOGIN", `user ${holder.userId} is logged in already`);
  }
}

class Overtaken extends Error {
  constructor(readonly goodbye: GoodbyeReason) {
    super(goodbye);
  }
}

// Also an unconfirmed claim that it made: the answer to an earlier attempt of its own was lost on the way.
function isOwn(holder: Session, own: OwnSession): boolean {
  if (holder.sessionId === own.sessionId) return true;
  return !holder.confirmed && isSameLogin(holder.sessionId, own.sessionId);
}

/** The holder's id, if it is of the same login: what comes next is to be later than it as well. */
function laterThan(own: OwnSession, holder: Session | null): string[] {
  return holder && isSameLogin(holder.sessionId, own.sessionId) ? [holder.sessionId] : [];
}
