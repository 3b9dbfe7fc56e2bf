/** Accounts and sessions as clients make them: register, log in, take a session back. */
import type { Config } from "../common/config.ts";
import type { ServerInstance } from "../common/registry/registry.ts";
import type { SessionToken, Tokens } from "../common/token.ts";
import { WEBSOCKET_PATH } from "../proto/frame.ts";
import { CimError } from "../proto/status.ts";
import type { Answers } from "./api.ts";
import type { Caller } from "./caller.ts";
import type { Guesses } from "./guesses.ts";
import { normalName } from "./names.ts";
import type { PasswordDesk } from "./passwords.ts";
import type { OwnSession, Presence } from "./presence.ts";
import type { Servers } from "./servers.ts";
import type { Account, Accounts } from "./store/accounts.ts";
import type { Session } from "./store/sessions.ts";
import { Turns } from "./turns.ts";

/** The device of a client that names none. */
const DEFAULT_DEVICE = "default";
/**
 * After a server's death all of its clients come at once. So many claim their sessions in one turn of the event loop;
 * in line, as many as are served before the first of them would hang up.
 */
const LOGINS_AT_ONCE = 32;
const MAX_LOGINS_WAITING = 20_000;

export interface LoginParts {
  accounts: Accounts;
  presence: Presence;
  servers: Pick<Servers, "choose">;
  tokens: Tokens;
  passwords: PasswordDesk;
  guesses: Guesses;
  auth: Config["auth"];
  tokenMs: number;
}

/** Where the request is from: who proved to be calling, and from which address (null: not limited). */
export interface Origin {
  caller: Caller;
  readonly address: string | null;
}

/** Whose login it is, and since which sign-out. */
interface Claimant {
  userId: number;
  userName: string;
  generation?: number;
}

export interface Credentials {
  userId?: number | null;
  userName?: string | null;
  password?: string | null;
  device?: string | null;
}

export class Login {
  readonly #parts: LoginParts;
  readonly #turns = new Turns({ what: "logins", atOnce: LOGINS_AT_ONCE, waiting: MAX_LOGINS_WAITING });

  constructor(parts: LoginParts) {
    this.#parts = parts;
  }

  /**
   * The account of this name, made now or there before.
   * @throws CimError INVALID without a password where one is required, ACCOUNT_MISMATCH when the name is taken by
   * someone with another password, RATE_LIMITED
   */
  async register(
    { userName, password }: { userName: string; password?: string | null },
    { caller, address }: Origin,
  ): Promise<Answers<"registerAccount">> {
    const { accounts, passwords, guesses, auth } = this.#parts;
    if (!password && auth === "password" && caller.kind !== "admin") {
      throw new CimError("INVALID", "password is missing: want at least 8 characters (CIM_AUTH=password)");
    }
    let account = await accounts.byName(userName);
    let created = false;
    if (!account) {
      if (caller.kind !== "admin") await guesses.registration(address);
      const hash = password ? await passwords.hash(password) : null;
      ({ account, created } = await accounts.register(userName, hash));
    }
    // Also for the second of two who registered the name at once.
    if (!created) await this.#verify({ userName, password }, account, { caller, address });
    return { userId: account.userId, userName: account.userName };
  }

  /**
   * Credentials or a token → a server that answers → the claim. Nothing is kept before the claim, so a login that
   * fails on the way is in nobody's way.
   */
  async login(given: Credentials, origin: Origin): Promise<Answers<"login">> {
    const { caller } = origin;
    const own = caller.kind === "user" ? caller.session : null;
    const account = own ? this.#resumed(given, own) : await this.#authenticated(given, origin);
    const device = given.device ?? own?.device ?? DEFAULT_DEVICE;
    const isNew = origin.caller.kind !== "nobody" || !!given.password || !!given.device;
    const { server, session } = await this.#place(account, device, own, isNew);
    const where = { ip: server.host, cimServerPort: server.port, httpPort: server.httpPort };
    if (!isNew) return where;
    return { ...where, tls: server.tls, webSocketUrl: webSocketOf(server), ...(await this.#signed(session)) };
  }

  async #place(
    account: Claimant,
    device: string,
    own: OwnSession | null,
    tokenLogin: boolean,
  ): Promise<{ server: ServerInstance; session: Session }> {
    const { presence, servers, auth } = this.#parts;
    await presence.mayLogin(account.userId, device, own);
    // A CIM v2 server knows no tokens, and believes whoever names a user.
    const server = await servers.choose(account.userId, tokenLogin || auth === "password" ? "ours" : "any");
    // A server that hangs must not hold up the others' logins: only what costs time here waits for its turn.
    const session = await this.#turns.take(() => presence.claim(account, device, server, own));
    return { server, session };
  }

  /** The account a token names; what else the request names must agree with it. */
  #resumed(given: Credentials, token: SessionToken): Claimant {
    const { userId, userName, device } = token;
    const agrees =
      (given.userId ?? userId) === userId &&
      (given.userName ?? userName) === userName &&
      (given.device ?? device) === device;
    if (!agrees) {
      throw new CimError("FORBIDDEN", `the token is of user ${userId} on another device, or of another user`);
    }
    return { userId, userName };
  }

  async #authenticated(given: Credentials, origin: Origin): Promise<Claimant> {
    const { accounts, presence } = this.#parts;
    const { userId, userName } = given;
    if (!userName && (!userId || origin.caller.kind !== "admin")) {
      throw new CimError("INVALID", "userName is missing: want a name");
    }
    // By its id where it is given: of the accounts that CIM v2 made, not all are known by their name.
    const account = userId ? await accounts.byId(userId) : await accounts.byName(userName!);
    const { userId: id, userName: name, passwordHash } = await this.#verify(given, account, origin);
    const generation = await presence.generation(id);
    // The password may have been changed since it was read, and whoever had the old one been signed out.
    if (generation > 0 && (await accounts.byId(id))?.passwordHash !== passwordHash)
      throw new CimError("ACCOUNT_MISMATCH");
    return { userId: id, userName: name, generation };
  }

  /**
   * The account, if these are its credentials. Whether there is one of this name is told by neither the answer nor
   * the time it takes.
   */
  async #verify(given: Credentials, account: Account | null, { caller, address }: Origin): Promise<Account> {
    const { passwords, guesses, auth } = this.#parts;
    const { userId, userName, password } = given;
    const named = account !== null && isNamed(account, given) ? account : null;
    const hash = named?.passwordHash ?? null;
    const needsPassword = auth === "password" || hash !== null;
    if (caller.kind !== "admin" && (needsPassword || password)) {
      if (!password) throw new CimError("ACCOUNT_MISMATCH", "password is missing: this account needs one");
      const right = await guesses.attempt(userName ?? String(userId), address, () =>
        passwords.verify(password, hash),
      );
      if (!right) throw new CimError("ACCOUNT_MISMATCH");
    }
    if (!named) throw new CimError("ACCOUNT_MISMATCH");
    return named;
  }

  async #signed(session: Session): Promise<Partial<Answers<"login">>> {
    const { userId, userName, sessionId, device, bootId } = session;
    const issuedAt = Date.now();
    const expiresAt = issuedAt + this.#parts.tokenMs;
    const token = {
      kind: "session",
      userId,
      userName,
      sessionId,
      device,
      bootId,
      issuedAt,
      expiresAt,
    } as const;
    return { userId, userName, sessionId, token: await this.#parts.tokens.sign(token), expiresAt };
  }
}

function isNamed(account: Account, { userId, userName }: Credentials): boolean {
  return (
    (userId ?? account.userId) === account.userId &&
    (userName ?? normalName(account.userName)) === normalName(account.userName)
  );
}

function webSocketOf({ host, httpPort, tls, webSocketUrl }: ServerInstance): string {
  return webSocketUrl ?? `${tls ? "wss" : "ws"}://${host}:${httpPort}${WEBSOCKET_PATH}`;
}
