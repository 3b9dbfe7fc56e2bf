/** Who calls, as the Authorization header proves it, and for whom they may act. */
import type { Config } from "../common/config.ts";
import { bearer, equalSecrets, isToken, type SessionToken, type Tokens } from "../common/token.ts";
import { CimError } from "../proto/status.ts";
import type { Sender } from "./accept.ts";
import type { Accounts } from "./store/accounts.ts";
import type { Sessions } from "./store/sessions.ts";

/** `nobody` sent no proof at all, as CIM v2 peers do. */
export type Caller = { kind: "nobody" } | { kind: "admin" } | { kind: "user"; session: SessionToken };

export interface CallersParts {
  accounts: Accounts;
  sessions: Pick<Sessions, "isRevoked">;
  tokens: Tokens;
  auth: Config["auth"];
  /** "" for none. */
  adminKey: string;
}

interface Known {
  userName: string;
  hasPassword: boolean;
  /** When that was asked. */
  at: number;
}

/** How long an account is taken to have no password yet. */
const NO_PASSWORD_MS = 5 * 1000;
const MAX_KNOWN = 100_000;
const MAX_PROVEN = 10_000;

export class Callers {
  readonly #parts: CallersParts;
  // A name never changes, and a password that is there stays one; calls ask for both each time.
  readonly #known = new Map<number, Known>();
  // By the whole header. Checking a signature costs more than all else of a call; whether it was logged out is asked
  // each time.
  readonly #proven = new Map<string, Caller>();

  constructor(parts: CallersParts) {
    this.#parts = parts;
  }

  /** @throws CimError UNAUTHORIZED for proof that is not valid, whatever it would have been needed for */
  async identify(header: string | null): Promise<Caller> {
    if (header === null) return { kind: "nobody" };
    const caller = this.#remembered(header) ?? (await this.#prove(header));
    if (caller.kind === "user" && (await this.#parts.sessions.isRevoked(caller.session))) {
      throw new CimError("UNAUTHORIZED", "the token's session was logged out");
    }
    return caller;
  }

  /** @throws CimError UNAUTHORIZED unless the caller proved to be someone, or nobody has to */
  require(caller: Caller): void {
    if (caller.kind !== "nobody" || this.#parts.auth === "open") return;
    throw new CimError("UNAUTHORIZED", "no token: want Authorization: Bearer <token>");
  }

  /** @throws CimError UNAUTHORIZED without proof where it is needed, FORBIDDEN with another user's */
  async mayActFor(caller: Caller, userId: number): Promise<void> {
    this.require(caller);
    if (caller.kind === "nobody" && (await this.#find(userId))?.hasPassword) {
      throw new CimError("UNAUTHORIZED", `user ${userId} has a password: want Authorization: Bearer <token>`);
    }
    if (caller.kind === "user") refuseOthers(caller.session, userId);
  }

  /** The user as a sender, if the caller may act for it. @throws as mayActFor, ACCOUNT_MISMATCH for no account */
  sender(caller: Caller, userId: number): Sender | Promise<Sender> {
    if (caller.kind !== "user") return this.#accountAsSender(caller, userId);
    refuseOthers(caller.session, userId);
    const { userName, sessionId } = caller.session;
    return { userId, userName, sessionId };
  }

  async #accountAsSender(caller: Caller, userId: number): Promise<Sender> {
    await this.mayActFor(caller, userId);
    const known = await this.#find(userId);
    if (!known) throw new CimError("ACCOUNT_MISMATCH", `there is no account ${userId}`);
    return { userId, userName: known.userName, sessionId: "" };
  }

  /** Which of these ids are accounts'. */
  async known(userIds: readonly number[]): Promise<ReadonlySet<number>> {
    const known = new Set<number>();
    const asked = new Set<number>();
    for (const userId of userIds) (this.#known.has(userId) ? known : asked).add(userId);
    if (asked.size > 0)
      await Promise.all(Array.from(asked, async (id) => (await this.#find(id)) && known.add(id)));
    return known;
  }

  #remembered(header: string): Caller | null {
    const caller = this.#proven.get(header);
    if (caller?.kind !== "user" || caller.session.expiresAt > Date.now()) return caller ?? null;
    this.#proven.delete(header);
    return null;
  }

  async #prove(header: string): Promise<Caller> {
    const { adminKey, tokens } = this.#parts;
    const proof = bearer(header);
    if (proof === null) throw new CimError("UNAUTHORIZED", "Authorization: want Bearer <token>");
    const isAdmin =
      adminKey !== "" && proof.length === adminKey.length && (await equalSecrets(proof, adminKey));
    if (!isAdmin && !isToken(proof)) {
      const key = adminKey === "" ? "and this route has no CIM_ADMIN_KEY" : "nor this route's CIM_ADMIN_KEY";
      throw new CimError("UNAUTHORIZED", `Authorization: not a token, ${key}`);
    }
    const caller: Caller = isAdmin
      ? { kind: "admin" }
      : { kind: "user", session: await tokens.check(proof, "session") };
    // Of the forms in which one token may be sent only the usual one: no caller takes the place of many.
    if (header === `Bearer ${proof}`) remember(this.#proven, header, caller, MAX_PROVEN);
    return caller;
  }

  async #find(userId: number): Promise<Known | null> {
    const known = this.#known.get(userId);
    if (known && (known.hasPassword || Math.abs(Date.now() - known.at) < NO_PASSWORD_MS)) return known;
    const account = await this.#parts.accounts.byId(userId);
    if (!account) return null;
    const found = { userName: account.userName, hasPassword: account.passwordHash !== null, at: Date.now() };
    remember(this.#known, userId, found, MAX_KNOWN);
    return found;
  }
}

/** @throws CimError FORBIDDEN */
function refuseOthers(session: SessionToken, userId: number): void {
  if (session.userId === userId) return;
  throw new CimError("FORBIDDEN", `the token is of user ${session.userId}, not ${userId}`);
}

/** Keeps an entry, and forgets the oldest when there are too many. */
function remember<K, V>(entries: Map<K, V>, key: K, value: V, limit: number): void {
  if (entries.size >= limit) entries.delete(entries.keys().next().value!);
  entries.set(key, value);
}
