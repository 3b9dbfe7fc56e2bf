/** A new password for an account: in place of the old one, or the first of one that was made without. */
import { CimError } from "../proto/status.ts";
import type { Guesses } from "./guesses.ts";
import type { Leaving } from "./leaving.ts";
import type { Origin } from "./login.ts";
import type { PasswordDesk } from "./passwords.ts";
import type { Account, Accounts } from "./store/accounts.ts";

export interface PasswordChangeParts {
  accounts: Accounts;
  passwords: PasswordDesk;
  guesses: Guesses;
  leaving: Pick<Leaving, "logoutOthers">;
}

interface NewPassword {
  /** Whose; only an API key may name another than the token's. */
  userId?: number | null;
  password: string;
  oldPassword?: string | null;
}

export class PasswordChange {
  readonly #parts: PasswordChangeParts;

  constructor(parts: PasswordChangeParts) {
    this.#parts = parts;
  }

  /**
   * Whoever is logged in elsewhere is logged out: a password may be changed because somebody else had it.
   * @throws CimError UNAUTHORIZED without a token, also in `open` mode, where anyone could lock anyone out;
   * FORBIDDEN for another user, ACCOUNT_MISMATCH for a wrong old password, RATE_LIMITED for too many of them
   */
  async change({ userId, password, oldPassword }: NewPassword, origin: Origin): Promise<void> {
    const { accounts, passwords, leaving } = this.#parts;
    const account = await accounts.byId(whose(userId, origin));
    if (!account) throw new CimError("ACCOUNT_MISMATCH", `there is no account ${userId}`);
    if (origin.caller.kind !== "admin" && account.passwordHash !== null)
      await this.#checkOld(account, oldPassword, origin.address);
    const hash = await passwords.hash(password);
    const { caller } = origin;
    const spared = caller.kind === "user" ? caller.session.sessionId : null;
    // Before, in case nobody lives to do it afterwards; and afterwards, for who logged in with the old one in between.
    await leaving.logoutOthers(account.userId, spared);
    await accounts.setPassword(account.userId, hash);
    await leaving.logoutOthers(account.userId, spared);
  }

  async #checkOld(
    { userName, passwordHash }: Account,
    oldPassword: string | null | undefined,
    address: string | null,
  ): Promise<void> {
    const { passwords, guesses } = this.#parts;
    if (!oldPassword) throw new CimError("ACCOUNT_MISMATCH", "oldPassword is missing: this account has one");
    const right = await guesses.attempt(userName, address, () => passwords.verify(oldPassword, passwordHash));
    if (!right) throw new CimError("ACCOUNT_MISMATCH", "oldPassword is not this account's password");
  }
}

function whose(userId: number | null | undefined, { caller }: Origin): number {
  if (caller.kind === "nobody")
    throw new CimError("UNAUTHORIZED", "no token: want Authorization: Bearer <token>");
  if (caller.kind === "admin") {
    if (!userId) throw new CimError("INVALID", "userId is missing: want whose password it is");
    return userId;
  }
  const own = caller.session.userId;
  if ((userId ?? own) !== own) throw new CimError("FORBIDDEN", `the token is of user ${own}, not ${userId}`);
  return own;
}
