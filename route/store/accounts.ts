export interface Account {
  userId: number;
  userName: string;
  /** argon2id in PHC form; null for an account without a password, which only `open` mode makes. */
  passwordHash: string | null;
}

/** Who is registered. Names reach a driver already normalized (NFC, trimmed, 1–64 characters). */
export interface Accounts {
  /**
   * The account of this name: made now, with an id never given before, or the one that was there, unchanged. Two
   * calls at once for one name make one account.
   */
  register(userName: string, passwordHash: string | null): Promise<{ account: Account; created: boolean }>;
  /** Takes the place of the password there was, if there was one. */
  setPassword(userId: number, passwordHash: string): Promise<void>;
  byId(userId: number): Promise<Account | null>;
  byName(userName: string): Promise<Account | null>;
}
