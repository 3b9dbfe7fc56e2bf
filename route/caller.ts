/** Who calls, as the Authorization header proves it, and for whom they may act. */
import type { Config } from "../common/config.ts";
import { bearer, equalSecrets, type SessionToken, type Tokens } from "../common/token.ts";
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
}

const MAX_KNOWN = 100_000;

export class Callers {
  readonly #parts: CallersParts;
  // Neither a name nor whether there is a password ever changes, and calls ask for both each time.
  readonly #known = new Map<number, Known>();

  constructor(parts: CallersParts) {
    this.#parts = parts;
  }

  /** @throws CimError UNAUTHORIZED for proof that is not valid, whatever it would have been needed for */
  async identify(header: string | null): Promise<Caller> {
    if (header === null) return { kind: "nobody" };
    const proof = bearer(header);
    if (proof === null) throw new CimError("UNAUTHORIZED", "Authorization: want Bearer <token>");
    if (await this.#isAdminKey(proof)) return { kind: "admin" };
    const session = await this.#parts.tokens.check(proof, "session");
    if (await this.#parts.sessions.isRevoked(session.sessionId)) {
      throw new CimError("UNAUTHORIZED", "the token's session was logged out");
    }
    return { kind: "user", session };
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
    if (caller.kind === "user" && caller.session.userId !== userId) {
      throw new CimError("FORBIDDEN", `the token is of user ${caller.session.userId}, not ${userId}`);
    }
  }

  /** The user as a sender, if the caller may act for it. @throws as mayActFor, ACCOUNT_MISMATCH for no account */
  async sender(caller: Caller, userId: number): Promise<Sender> {
    await this.mayActFor(caller, userId);
    if (caller.kind === "user") {
      const { userName, sessionId } = caller.session;
      return { userId, userName, sessionId };
    }
    const known = await this.#find(userId);
    if (!known) throw new CimError("ACCOUNT_MISMATCH", `there is no account ${userId}`);
    return { userId, userName: known.userName, sessionId: "" };
  }

  /** Whether there is an account of this id. */
  async knows(userId: number): Promise<boolean> {
    return (await this.#find(userId)) !== null;
  }

  async #isAdminKey(proof: string): Promise<boolean> {
    const { adminKey } = this.#parts;
    return adminKey !== "" && proof.length === adminKey.length && (await equalSecrets(proof, adminKey));
  }

  async #find(userId: number): Promise<Known | null> {
    const known = this.#known.get(userId);
    if (known) return known;
    const account = await this.#parts.accounts.byId(userId);
    if (!account) return null;
    const found = { userName: account.userName, hasPassword: account.passwordHash !== null };
    if (this.#known.size >= MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(userId, found);
    return found;
  }
}
