/** Passwords are kept as argon2id hashes of NFC (RFC 8265, 4.2.2); how they are computed is the runtime's, and given by the entry point. */
import { CimError } from "../proto/status.ts";
import { normalText } from "./names.ts";

export interface Passwords {
  /** A salted hash in PHC form. */
  hash(password: string): Promise<string>;
  verify(password: string, hash: string): Promise<boolean>;
}

// A hash takes 19 MiB and 57 ms of a core: what is under way at once, and what may wait for it, is all that many
// logins at once can cost.
const MAX_UNDER_WAY = 4;
const MAX_WAITING = 100;

/** Passwords with a bound on the work, and an answer for accounts there are not that takes as long as any other. */
export class PasswordDesk {
  readonly #dummy: Promise<string>;
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  constructor(readonly passwords: Passwords) {
    this.#dummy = passwords.hash(crypto.randomUUID());
    this.#dummy.catch(() => {}); // Told to whoever needs it.
  }

  /** @throws CimError RATE_LIMITED when too many passwords are waiting to be checked already */
  hash(password: string): Promise<string> {
    return this.#bounded(() => this.passwords.hash(normalText(password)));
  }

  /**
   * Whether `password` is the one of `hash`. Without a hash it never is, and finding out takes as long.
   * @throws CimError RATE_LIMITED when too many passwords are waiting to be checked already
   */
  verify(password: string, hash: string | null): Promise<boolean> {
    return this.#bounded(async () => {
      const right = await this.passwords.verify(normalText(password), hash ?? (await this.#dummy));
      return right && hash !== null;
    });
  }

  async #bounded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#underWay >= MAX_UNDER_WAY) {
      if (this.#waiting.length >= MAX_WAITING) {
        throw new CimError(
          "RATE_LIMITED",
          `${MAX_WAITING} passwords are waiting to be checked: try again in 5 seconds`,
        );
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#underWay++;
    try {
      return await work();
    } finally {
      // Its place goes to the next in line, if there is one.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#underWay--;
    }
  }
}
