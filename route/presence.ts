/** Who is logged in, where: claims, what becomes of them, and what counts as live. */
import type { Config } from "../common/config.ts";
import { addressOf, type Directory, isV2, type ServerInstance } from "../common/registry/registry.ts";
import { CimError, type GoodbyeReason } from "../proto/status.ts";
import { firstSessionId, isLater, isSameLogin, nextSessionId } from "./session-id.ts";
import type { Cursors } from "./store/cursors.ts";
import type { Session, Sessions } from "./store/sessions.ts";

/** A claim that no connection followed in this time no longer stands in anyone's way. */
export const CLAIM_LIFE_MS = 15 * 1000;

/** The `since` of a session that a CIM v2 peer called over. */
const DOUBTED = 0;

// A slot that changes under our hands this often in a row is being fought over; the caller may try again.
const MAX_ATTEMPTS = 5;
const PAGE_USERS = 1000;

export interface PresenceParts {
  sessions: Sessions;
  cursors: Cursors;
  directory: Pick<Directory, "state">;
  /** Whether CIM v2 servers may have held sessions. */
  knowsV2: () => boolean;
  policy: Config["loginPolicy"];
  /** How long a token lives: as long, a logged-out session's is remembered as refused. */
  tokenMs: number;
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
    if (!replaced || !(replaced.confirmed || this.isLive(replaced))) return session;
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
    const isKnown = holder?.sessionId === session.sessionId && holder.confirmed;
    if (isKnown && holder.since !== DOUBTED) return { session: holder };
    try {
      const { replaced } = await this.#put(holder, (current) => {
        this.#refuseOvertaken(session, current);
        return session;
      });
      if (replaced?.confirmed && replaced.sessionId !== session.sessionId) this.#end(replaced, session);
    } catch (error) {
      if (error instanceof Overtaken) return { goodbye: error.goodbye };
      throw error;
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
        this.isLive(session),
    );
    if (!claim) return null;
    const taken = { ...claim, confirmed: true, since: this.#now() };
    return (await this.#parts.sessions.put(taken, claim.sessionId)) === "done" ? taken : null;
  }

  /** The session's connection is gone; a session that has been replaced meanwhile is left alone. */
  async release(session: Pick<Session, "userId" | "slot" | "sessionId">): Promise<void> {
    const { sessions, cursors } = this.#parts;
    const held = await sessions.remove(session.userId, session.slot, session.sessionId);
    // From here on the retention of its place in `all` counts.
    if (held) await cursors.join(session.userId, session.slot);
  }

  /** The user meant to leave: on one device (its session), or (null) on all of them. */
  async logout(userId: number, sessionId: string | null): Promise<void> {
    const { sessions, cursors, close, tokenMs } = this.#parts;
    if (sessionId) await sessions.revoke(sessionId, this.#now() + tokenMs);
    const held = (await sessions.ofUsers([userId])).get(userId) ?? [];
    for (const session of held.filter((one) => sessionId === null || one.sessionId === sessionId)) {
      await sessions.revoke(session.sessionId, this.#now() + tokenMs);
      if (!(await sessions.remove(userId, session.slot, session.sessionId))) continue;
      await cursors.leave(userId, session.slot);
      close(session, "logged_out");
    }
  }

  /** Every login of the user ends but that of this session; null: every one. Also those without a connection. */
  async logoutOthers(userId: number, sessionId: string | null): Promise<void> {
    await this.#parts.sessions.signOut(userId, sessionId, this.#now() + this.#parts.tokenMs);
    const held = (await this.#parts.sessions.ofUsers([userId])).get(userId) ?? [];
    for (const session of held) {
      if (session.sessionId !== sessionId) await this.logout(userId, session.sessionId);
    }
  }

  /**
   * A CIM v2 peer, which proves nothing, says that the user is gone. It may be the client, or a CIM v2 server whose
   * connection to it ended, perhaps long ago. So where there are such servers only a session on one of them ends: a
   * server of ours says itself when a connection ends. Until then the session goes on, and stands in no login's way.
   */
  async calledOver(userId: number): Promise<void> {
    const { sessions, knowsV2 } = this.#parts;
    if (!knowsV2()) return this.logout(userId, null);
    for (const session of (await sessions.ofUsers([userId])).get(userId) ?? []) {
      // What is said to everyone meanwhile is kept for it: nobody tells a client that left from one that lost its network.
      if (isV2(session.bootId)) await this.release(session);
      else if (session.confirmed) await sessions.put({ ...session, since: DOUBTED }, session.sessionId);
    }
  }

  /** The sessions of each of these users that a connection followed, whether their servers are alive or not. */
  async connected(userIds: readonly number[]): Promise<Map<number, Session[]>> {
    const sessions = await this.#parts.sessions.ofUsers(userIds);
    for (const [userId, held] of sessions) {
      sessions.set(
        userId,
        held.filter((session) => isConnected(session)),
      );
    }
    return sessions;
  }

  /** Users online with an id above `after`, by id; `next` is where the following page starts, null after the last. */
  async online(
    after: number,
    limit: number,
  ): Promise<{ users: { userId: number; userName: string }[]; next: number | null }> {
    const names = new Map<number, string>();
    // One more than wanted tells whether there is a next page; more and more where most rows are of dead servers.
    for (let from = after, size = limit + 1; ; size = Math.min(2 * size, PAGE_USERS)) {
      const page = await this.#parts.sessions.list(from, size);
      const last = page.at(-1);
      if (!last) return { users: named(names), next: null };
      for (const session of page) {
        if (!isConnected(session) || !this.isLive(session)) continue;
        if (names.size === limit && !names.has(session.userId)) {
          return { users: named(names), next: [...names.keys()].at(-1)! };
        }
        names.set(session.userId, session.userName);
      }
      from = last.userId;
    }
  }

  /** A session counts while the start of the server that it is on does, and a claim only until it lapses. */
  isLive(session: Session): boolean {
    if (!isConnected(session) && this.#isLapsed(session)) return false;
    return this.#parts.directory.state(session.server, session.bootId) !== "gone";
  }

  /** What an account may have one session of: each device under `multi`, else the account as a whole. */
  slotOf(device: string): string {
    return this.#parts.policy === "multi" ? device : "";
  }

  #end(replaced: Session, by: Session): void {
    this.#parts.close(replaced, isSameLogin(replaced.sessionId, by.sessionId) ? "replaced" : "kicked");
  }

  #isLapsed(session: Session): boolean {
    return !session.confirmed && session.since + CLAIM_LIFE_MS <= this.#now();
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
    if (!holder || holder.sessionId === session.sessionId || !this.isLive(holder)) return;
    if (!isSameLogin(holder.sessionId, session.sessionId)) throw new Overtaken("kicked");
    if (holder.confirmed && !isLater(session.sessionId, holder.sessionId)) throw new Overtaken("replaced");
  }

  #refuseRepeat(holder: Session | null, own: OwnSession | null): void {
    if (this.#parts.policy !== "reject" || !holder || !this.isLive(holder)) return;
    // On a CIM v2 server nobody knows whether a connection followed, or is still there: nobody is locked out by it.
    if (this.#isLapsed(holder) || holder.since === DOUBTED) return;
    if (own && isOwn(holder, own)) return;
    throw new CimError("REPEAT_LOGIN", `user ${holder.userId} is logged in already`);
  }
}

class Overtaken extends Error {
  constructor(readonly goodbye: GoodbyeReason) {
    super(goodbye);
  }
}

/** Whether a connection followed the claim. A CIM v2 server never says so: there it is taken for granted. */
function isConnected(session: Session): boolean {
  return session.confirmed || isV2(session.bootId);
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

function named(names: Map<number, string>): { userId: number; userName: string }[] {
  return Array.from(names, ([userId, userName]) => ({ userId, userName }));
}
