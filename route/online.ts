/** Who is online: which sessions count, and whose they are. */
import { type Directory, isV2 } from "../common/registry/registry.ts";
import type { Session, Sessions } from "./store/sessions.ts";

/** A claim that no connection followed in this time no longer stands in anyone's way. */
export const CLAIM_LIFE_MS = 15 * 1000;

const PAGE_USERS = 1000;

export interface OnlineParts {
  sessions: Pick<Sessions, "ofUsers" | "list">;
  directory: Pick<Directory, "state">;
  now?: () => number;
}

export class Online {
  readonly #parts: OnlineParts;

  constructor(parts: OnlineParts) {
    this.#parts = parts;
  }

  /** The sessions of each of these users that a connection followed, whether their servers are alive or not. */
  async connected(userIds: readonly number[]): Promise<Map<number, Session[]>> {
    return connectedAmong(await this.#parts.sessions.ofUsers(userIds));
  }

  /** Users online with an id above `after`, by id; `next` is where the following page starts, null after the last. */
  async page(
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
    if (!isConnected(session) && this.isLapsed(session)) return false;
    return this.#parts.directory.state(session.server, session.bootId) !== "gone";
  }

  /** Whether no connection followed the claim in time. */
  isLapsed(session: Session): boolean {
    return !session.confirmed && session.since + CLAIM_LIFE_MS <= (this.#parts.now ?? Date.now)();
  }
}

/** Of the sessions of each user, those that a connection followed. */
export function connectedAmong(sessions: ReadonlyMap<number, readonly Session[]>): Map<number, Session[]> {
  const connected = new Map<number, Session[]>();
  for (const [userId, held] of sessions) connected.set(userId, held.filter(isConnected));
  return connected;
}

/** Whether a connection followed the claim. A CIM v2 server never says so: there it is taken for granted. */
function isConnected(session: Session): boolean {
  return session.confirmed || isV2(session.bootId);
}

function named(names: Map<number, string>): { userId: number; userName: string }[] {
  return Array.from(names, ([userId, userName]) => ({ userId, userName }));
}
