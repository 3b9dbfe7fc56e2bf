/** How sessions end: a connection that is gone, a user who leaves, another who is to be put out. */
import { isV2 } from "../common/registry/registry.ts";
import type { GoodbyeReason } from "../proto/status.ts";
import { isSameLogin } from "./session-id.ts";
import type { Cursors } from "./store/cursors.ts";
import { DOUBTED, type Session, type Sessions } from "./store/sessions.ts";

export interface LeavingParts {
  sessions: Sessions;
  cursors: Pick<Cursors, "join" | "leave">;
  /** Whether CIM v2 servers may have held sessions. */
  knowsV2: () => boolean;
  /** How long a token lives: as long, those that are refused before their time are remembered. */
  tokenMs: number;
  /** Tell the session's server to end its connection. */
  close: (session: Session, reason: GoodbyeReason) => void;
  now?: () => number;
}

export class Leaving {
  readonly #parts: LeavingParts;

  constructor(parts: LeavingParts) {
    this.#parts = parts;
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
    const { sessions, cursors, close } = this.#parts;
    if (sessionId) await sessions.revoke(sessionId, this.#tokensEnd());
    const held = (await sessions.ofUsers([userId])).get(userId) ?? [];
    for (const session of held.filter((one) => sessionId === null || one.sessionId === sessionId)) {
      await sessions.revoke(session.sessionId, this.#tokensEnd());
      if (!(await sessions.remove(userId, session.slot, session.sessionId))) continue;
      await cursors.leave(userId, session.slot);
      close(session, "logged_out");
    }
  }

  /** Every login of the user ends but the one of this session; null: every one. Also those without a connection. */
  async logoutOthers(userId: number, sessionId: string | null): Promise<void> {
    await this.#parts.sessions.signOut(userId, sessionId, this.#tokensEnd());
    const held = (await this.#parts.sessions.ofUsers([userId])).get(userId) ?? [];
    for (const session of held) {
      const isSpared = sessionId !== null && isSameLogin(session.sessionId, sessionId);
      if (!isSpared) await this.logout(userId, session.sessionId);
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

  /** When the last token that was signed by now expires. */
  #tokensEnd(): number {
    return (this.#parts.now ?? Date.now)() + this.#parts.tokenMs;
  }
}
