/** Reads to one user of a CIM v2 server, from the log, as far as its cursors have not come. */
import { addressOf, type ServerInstance } from "../common/registry/registry.ts";
import { ALL } from "../proto/conversation.ts";
import { decodeMessage } from "../proto/message.ts";
import { CimError } from "../proto/status.ts";
import type { Servers } from "./servers.ts";
import type { Cursors } from "./store/cursors.ts";
import type { Locks } from "./store/locks.ts";
import type { Log } from "./store/log.ts";
import type { Session, Sessions } from "./store/sessions.ts";
import { v2Pushes } from "./v2-push.ts";

export interface V2ReaderParts {
  servers: Pick<Servers, "sendMsg">;
  sessions: Pick<Sessions, "ofUsers">;
  log: Pick<Log, "read">;
  cursors: Pick<Cursors, "cursor" | "unread" | "ack">;
  locks: Locks;
  now?: () => number;
  /** How long another route that reads to the same user is waited for. Default 1 s. */
  patienceMs?: number;
}

export interface V2User {
  userId: number;
  server: ServerInstance;
}

/** What is to be read to a user. */
export interface Wanted {
  /** All that is unread. */
  everything: boolean;
  /** Conversations with something new, and the seq from which on it is live: what is before that was kept. */
  live: Map<string, number>;
}

/** "taken": it was read, or the user is not there. "left": another route reads to this user. Else, how long to wait. */
export type Outcome = "taken" | "left" | { waitMs: number };

/** What is pushed before the client has connected is lost, and nobody tells when it has: it gets this long after its login. */
export const CONNECT_MS = 1500;
/** A route that dies while it reads holds up the others for so long. */
const LOCK_MS = 10 * 1000;
const LOCK_RENEWAL_MS = 2 * 1000;
const PATIENCE_MS = 1000;
const LOCK_RETRY_MS = 25;
const PAGE = { messages: 200, bytes: 256 * 1024 };
const CONVERSATIONS = 100;

export class V2Reader {
  readonly #parts: V2ReaderParts;
  readonly #now: () => number;
  readonly #holder = crypto.randomUUID();
  /** What was said, and could not be acknowledged: by user, slot and conversation. */
  readonly #unacknowledged = new Map<string, number>();

  constructor(parts: V2ReaderParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
  }

  /**
   * @param begin called when reading begins: what is wanted from then on is for another time
   * @throws CimError when the server does not take a message; what it took before that does not come again
   */
  async read(user: V2User, wanted: Wanted, begin: () => void): Promise<Outcome> {
    const { locks, patienceMs = PATIENCE_MS } = this.#parts;
    const hold = new Hold(locks, `v2:${user.userId}`, this.#holder);
    if (!(await hold.begin(patienceMs))) return "left";
    try {
      const session = await this.#session(user);
      if (session === null) return "taken";
      const waitMs = wanted.everything ? 0 : this.#unconnectedMs(session);
      if (waitMs > 0) return { waitMs };
      begin();
      const reading = new Reading(this.#parts, user.server, session, hold, this.#unacknowledged);
      if (wanted.everything) await reading.everything(wanted.live);
      else for (const [conversation, seq] of wanted.live) await reading.conversation(conversation, seq);
      return "taken";
    } finally {
      await hold.end();
    }
  }

  async #session({ userId, server }: V2User): Promise<Session | null> {
    const held = (await this.#parts.sessions.ofUsers([userId])).get(userId) ?? [];
    return held.find((session) => isOn(session, server)) ?? null;
  }

  #unconnectedMs({ since }: Session): number {
    // The clock of the route that claimed it may be another.
    const left = since + CONNECT_MS - this.#now();
    return left > CONNECT_MS ? 0 : Math.max(0, left);
  }
}

export function isOn(session: Session, server: ServerInstance): boolean {
  return session.bootId === server.bootId && session.server === addressOf(server);
}

/** One user's messages, on their way while the lock is held. */
class Reading {
  readonly #parts: V2ReaderParts;
  readonly #server: ServerInstance;
  readonly #session: Session;
  readonly #hold: Hold;
  readonly #unacknowledged: Map<string, number>;

  constructor(
    parts: V2ReaderParts,
    server: ServerInstance,
    session: Session,
    hold: Hold,
    unacknowledged: Map<string, number>,
  ) {
    this.#parts = parts;
    this.#server = server;
    this.#session = session;
    this.#hold = hold;
    this.#unacknowledged = unacknowledged;
  }

  async everything(live: Map<string, number>): Promise<void> {
    const { userId, slot } = this.#session;
    for (let from = ""; ; ) {
      const unread = await this.#parts.cursors.unread(userId, slot, from, CONVERSATIONS);
      for (const { conversation, cursor } of unread) {
        await this.#follow(conversation, cursor, live.get(conversation) ?? Number.POSITIVE_INFINITY);
      }
      if (unread.length < CONVERSATIONS) return;
      from = unread.at(-1)!.conversation;
    }
  }

  async conversation(name: string, liveFrom: number): Promise<void> {
    const { userId, slot } = this.#session;
    const { cursors } = this.#parts;
    if (name !== ALL) {
      await this.#follow(name, await cursors.cursor(userId, slot, name), liveFrom);
      return;
    }
    // The first by name. Who is not joined to it has no cursor there, which is not the same as one at its beginning.
    const [first] = await cursors.unread(userId, slot, "", 1);
    if (first?.conversation === ALL) await this.#follow(ALL, first.cursor, liveFrom);
  }

  async #follow(conversation: string, cursor: number, liveFrom: number): Promise<void> {
    const { log, servers } = this.#parts;
    const said = this.#unacknowledged.get(this.#key(conversation)) ?? 0;
    for (let after = Math.max(cursor, said); ; ) {
      const { messages, through, head } = await log.read(conversation, after, PAGE);
      const decoded = messages.map(({ bytes }) => decodeMessage(bytes));
      for (const { push, seq } of v2Pushes(this.#session.userId, decoded, liveFrom)) {
        await this.#hold.renew();
        await servers.sendMsg(this.#server, push);
        await this.#acknowledge(conversation, seq);
        after = seq;
      }
      // The user's own messages, and what retention removed.
      if (through > after) await this.#acknowledge(conversation, through);
      if (through >= head) return;
      after = through;
    }
  }

  async #acknowledge(conversation: string, seq: number): Promise<void> {
    const { userId, slot } = this.#session;
    this.#unacknowledged.set(this.#key(conversation), seq);
    await this.#parts.cursors.ack([{ userId, slot, conversation, seq }]);
    this.#unacknowledged.delete(this.#key(conversation));
  }

  #key(conversation: string): string {
    return `${this.#session.userId} ${conversation} ${this.#session.slot}`;
  }
}

/** A lock, while it is needed. */
class Hold {
  readonly #locks: Locks;
  readonly #name: string;
  readonly #holder: string;
  #takenAt = 0;

  constructor(locks: Locks, name: string, holder: string) {
    this.#locks = locks;
    this.#name = name;
    this.#holder = holder;
  }

  /** False when another has not let go of it in time. */
  async begin(patienceMs: number): Promise<boolean> {
    const until = performance.now() + patienceMs;
    while (!(await this.#take())) {
      if (performance.now() > until) return false;
      await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
    }
    return true;
  }

  /** @throws CimError FALLBACK when it was lost: this process stood still for too long */
  async renew(): Promise<void> {
    if (performance.now() < this.#takenAt + LOCK_RENEWAL_MS) return;
    if (!(await this.#take())) throw new CimError("FALLBACK", `${this.#name}: another route took it over`);
  }

  async end(): Promise<void> {
    await this.#locks.release(this.#name, this.#holder);
  }

  async #take(): Promise<boolean> {
    this.#takenAt = performance.now();
    return this.#locks.take(this.#name, this.#holder, LOCK_MS);
  }
}
