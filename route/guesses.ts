/** Guessing is slow: wrong passwords are counted, for an account and for an address, before they are looked at. */
import { CimError } from "../proto/status.ts";
import type { Throttle } from "./store/throttle.ts";

const WINDOW_MS = 5 * 60 * 1000;
const PER_ADDRESS = 10;

const encoder = new TextEncoder();

export class Guesses {
  constructor(
    readonly throttle: Throttle,
    readonly maxFailures: number,
  ) {}

  /**
   * Counts an attempt on `name` from `address` (null: one that is not counted), tries it, and forgets about it when
   * the answer is yes.
   * @throws CimError RATE_LIMITED, without having tried, when there were too many wrong ones; it says how long to wait
   */
  async attempt(name: string, address: string | null, attempt: () => Promise<boolean>): Promise<boolean> {
    const keys: string[] = [];
    let wrong = false;
    try {
      if (address !== null) {
        const key = `login:address:${address}`;
        await this.#take(key, this.maxFailures * PER_ADDRESS, "wrong passwords from this address");
        keys.push(key);
      }
      const key = `login:name:${await fingerprint(name)}`;
      await this.#take(key, this.maxFailures, "wrong passwords for this account");
      keys.push(key);
      wrong = !(await attempt());
      return !wrong;
    } finally {
      if (!wrong) await Promise.all(keys.map((key) => this.throttle.giveBack(key)));
    }
  }

  /**
   * Counts an account that `address` wants to make.
   * @throws CimError RATE_LIMITED when it made too many lately
   */
  async registration(address: string | null): Promise<void> {
    if (address === null) return;
    await this.#take(
      `register:address:${address}`,
      this.maxFailures * PER_ADDRESS,
      "new accounts from this address",
    );
  }

  async #take(key: string, limit: number, of: string): Promise<void> {
    const waitMs = await this.throttle.take(key, limit, WINDOW_MS);
    if (waitMs === 0) return;
    const seconds = Math.ceil(waitMs / 1000);
    throw new CimError("RATE_LIMITED", `${limit} ${of}: try again in ${seconds} seconds`);
  }
}

/** A name people choose, as part of a key: of a fixed form and length. */
async function fingerprint(name: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(name))).toHex();
}
