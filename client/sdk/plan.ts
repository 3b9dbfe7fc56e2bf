/** What a client tries next, after each thing that went wrong. Knows no connection and no clock. */
import type { CimError } from "../../proto/status.ts";
import { ConnectionEnd } from "./connection.ts";

/** Connect to the server that the token names, have the route resume the token's session, or log in with the password. */
export type Step = "connect" | "resume" | "login";

export interface Over {
  reason: string;
  text: string;
}

/** Failures in a row at one server after which the route is asked for another. */
const TRIES_AT_A_SERVER = 2;
/** A connection that held this long was a success: what follows is a new failure, not one more. */
export const STEADY_MS = 10 * 1000;
/** A token is renewed no sooner than this, whatever the clocks say. */
const MIN_RENEWAL_MS = 60 * 60 * 1000;
/** A timer takes no more than 24 days. */
const MAX_RENEWAL_MS = 20 * 24 * 60 * 60 * 1000;

/**
 * When to renew a token that is good for `leftMs`: with time enough for many tries, and not all clients at once.
 * @param random from 0 to 1
 */
export function renewalMs(leftMs: number, random: number): number {
  return Math.min(MAX_RENEWAL_MS, Math.max(MIN_RENEWAL_MS, leftMs * (0.5 + 0.25 * random)));
}

export class Plan {
  readonly #hasPassword: boolean;
  step: Step;
  /** Failures in a row. */
  attempt = 0;
  #triesHere = 0;
  /** Whether the token may still be good at its server. */
  #serverKnowsToken = false;

  /** @param first "resume" with a token from an earlier run, else "login" */
  constructor(first: "resume" | "login", hasPassword: boolean) {
    this.step = first;
    this.#hasPassword = hasPassword;
  }

  /** The route gave a server and a token for it. */
  loggedIn(): void {
    this.step = "connect";
    this.#triesHere = 0;
    this.#serverKnowsToken = true;
  }

  /** The token is to be renewed, and is still good. */
  renew(): void {
    this.step = "resume";
    this.attempt = 0;
  }

  /**
   * What was tried failed, or a connection that held for `livedMs` ended.
   * @returns null to go on with `step`, or why not to
   */
  failed(error: ConnectionEnd | CimError, livedMs: number | null = null): Over | null {
    this.attempt = livedMs !== null && livedMs >= STEADY_MS ? 1 : this.attempt + 1;
    return error instanceof ConnectionEnd ? this.#ended(error, livedMs) : this.#refused(error);
  }

  #ended(end: ConnectionEnd, livedMs: number | null): Over | null {
    this.#triesHere = livedMs === null ? this.#triesHere + 1 : 0;
    // An expired token ends here; who has the password does without.
    if (end.reason === "bad_token" && this.#hasPassword) return this.#goTo("login");
    if (end.advice === "stop") return { reason: end.reason, text: end.message };
    if (end.advice === "login") this.#serverKnowsToken = false;
    if (end.advice === "login" || this.#triesHere >= TRIES_AT_A_SERVER) return this.#goTo("resume");
    return this.#goTo("connect");
  }

  #refused(error: CimError): Over | null {
    if (!error.retry) {
      if (this.step === "resume" && this.#hasPassword) return this.#goTo("login");
      return { reason: "refused", text: error.message };
    }
    // While the route does not answer, the server may: one try there for each at the route.
    return this.step === "resume" && this.#serverKnowsToken ? this.#goTo("connect") : null;
  }

  #goTo(step: Step): null {
    this.step = step;
    return null;
  }
}
