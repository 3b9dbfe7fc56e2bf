/** Keeps an account logged in and connected: login, connection, and whatever it takes to have one again. */
import type { Logger } from "../../common/logger.ts";
import type { Frame } from "../../proto/gen/cim_pb.ts";
import { CimError } from "../../proto/status.ts";
import type { Answers } from "../../route/api.ts";
import type { Api } from "./api.ts";
import { type Clock, sleep } from "./clock.ts";
import { type Connection, ConnectionEnd, openConnection } from "./connection.ts";
import { type Over, Plan, renewalMs } from "./plan.ts";
import type { Dial } from "./transport.ts";
import type { Closed, ServerInfo, State, Status } from "./types.ts";
import { webSocketUrl } from "./websocket.ts";

export interface SessionOptions {
  api: Api;
  routeUrl: string;
  dial: Dial;
  clock: Clock;
  log: Logger;
  backoff: (attempt: number) => number;
  loginAttempts: number;
  userName: string;
  password?: string;
  userId?: number;
  token?: string;
  register: boolean;
  device: string;
  /** Name and version, for the server's log. */
  client: string;
}

export interface SessionEvents {
  connected(connection: Connection): void;
  frame(frame: Frame): void;
  disconnected(): void;
  status(status: Status): void;
  /** Called once, before `closed` settles. */
  ended(closed: Closed): void;
}

/** Who is logged in, where, and the proof of it. */
export interface Login {
  userId: number;
  userName: string;
  sessionId: string;
  token: string;
  server: ServerInfo;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #events: SessionEvents;
  readonly #plan: Plan;
  readonly #stop = new AbortController();
  readonly #closed = Promise.withResolvers<Closed>();
  readonly #started = Promise.withResolvers<void>();
  #state: State = "Initialized";
  #login: Login | null = null;
  #password: string | undefined;
  /** What may be resumed. */
  #token: string | undefined;
  /** Until when, in milliseconds since 1970; 0 when that is not known. */
  #expiresAt = 0;
  #mayRegister: boolean;
  #cancelRenewal: () => void = () => {};
  /** Ends the wait that is on. */
  #endWait: () => void = () => {};

  constructor(options: SessionOptions, events: SessionEvents) {
    this.#options = options;
    this.#events = events;
    this.#password = options.password;
    this.#token = options.token;
    this.#mayRegister = options.register;
    // Without a token `open` mode logs in by the name alone: "login" covers that as well.
    this.#plan = new Plan(options.token ? "resume" : "login", options.password !== undefined);
  }

  get state(): State {
    return this.#state;
  }

  /** Settles when the session is over, and says why; never rejects. */
  get closed(): Promise<Closed> {
    return this.#closed.promise;
  }

  /** Known from the first connection on. */
  get login(): Login {
    return this.#login!;
  }

  /** @throws CimError when there is no first connection: refused, or `loginAttempts` times without success */
  async start(): Promise<void> {
    this.#become("Connecting");
    this.#run().catch((error: Error) => {
      this.#started.reject(error);
      this.end({ reason: "failure", text: error.message }, "Failed");
    });
    await this.#started.promise;
  }

  /** Ends it; what was written to the connection still leaves. */
  end(closed: Closed, state: "Closed" | "Failed" = "Closed"): void {
    if (this.#stop.signal.aborted) return;
    this.#cancelRenewal();
    this.#stop.abort(new Error("the client is closed"));
    this.#become(state);
    this.#events.ended(closed);
    this.#closed.resolve(closed);
    this.#started.reject(new CimError("RECONNECT_FAILED", closed.text));
  }

  /** What is logged in with from now on, if it is kept at all. */
  passwordChanged(password: string): void {
    if (this.#password !== undefined) this.#password = password;
  }

  /** Tries at once what is being waited with. */
  hurry(): void {
    this.#endWait();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const { error, livedMs } = await this.#try(this.#plan.step);
      if (this.#stop.signal.aborted) return;
      if (error === null) continue;
      const over = this.#plan.failed(error, livedMs) ?? this.#hopeless(error);
      if (over) return this.#giveUp(over, error);
      await this.#wait(error);
    }
  }

  async #try(
    step: Plan["step"],
  ): Promise<{ error: ConnectionEnd | CimError | null; livedMs: number | null }> {
    let since: number | null = null;
    try {
      if (step !== "connect") return { error: await this.#logIn(step), livedMs: null };
      const ended = Promise.withResolvers<ConnectionEnd | "renew">();
      const leaving = new AbortController();
      const connection = await this.#connect(ended.resolve, leaving.signal);
      since = this.#options.clock.now();
      this.#connected(connection);
      this.#renewInTime(() => ended.resolve("renew"));
      const end = await ended.promise;
      if (end !== "renew") throw end;
      leaving.abort(new Error("the token is renewed"));
      this.#disconnected();
      this.#plan.renew();
      return { error: null, livedMs: null };
    } catch (error) {
      if (since !== null) this.#disconnected();
      if (!(error instanceof ConnectionEnd || error instanceof CimError)) throw error;
      return { error, livedMs: since === null ? null : this.#options.clock.now() - since };
    }
  }

  async #logIn(step: "resume" | "login"): Promise<null> {
    const { api, userName, userId, device, log } = this.#options;
    const password = this.#password;
    const signal = this.#stop.signal;
    try {
      const answer =
        step === "resume"
          ? await api.call("login", { body: { device }, token: this.#token, signal })
          : await api.call("login", { body: { userName, userId, password, device }, signal });
      this.#take(answer);
      log.info({ step, server: this.login.server, sessionId: this.login.sessionId }, "logged in");
      return null;
    } catch (error) {
      const unknown = error instanceof CimError && error.status === "ACCOUNT_MISMATCH";
      if (!unknown || step !== "login" || !this.#mayRegister) throw error;
      this.#mayRegister = false;
      await api.call("registerAccount", { body: { userName, password, device }, signal });
      log.info({ userName }, "registered");
      return this.#logIn(step);
    }
  }

  #take(answer: Answers<"login">): void {
    const { ip, cimServerPort, httpPort, tls = false, userId, userName, sessionId, token } = answer;
    if (!token || !userId || !userName || !sessionId) {
      throw new CimError("INVALID", "the route answers without a token: it is not one of this system");
    }
    const url = answer.webSocketUrl ? webSocketUrl(answer.webSocketUrl, this.#options.routeUrl) : "";
    const server = { host: ip, port: cimServerPort, httpPort, tls, webSocketUrl: url };
    this.#login = { userId, userName, sessionId, token, server };
    this.#token = token;
    this.#expiresAt = answer.expiresAt ?? 0;
    this.#plan.loggedIn();
    this.#events.status({ type: "token", token });
  }

  /**
   * A connection may outlast its token, and without a password there would be no way back: it gets a new one long
   * before.
   */
  #renewInTime(renew: () => void): void {
    if (this.#expiresAt === 0) return;
    const afterMs = renewalMs(this.#expiresAt - Date.now(), Math.random());
    this.#cancelRenewal = this.#options.clock.after(afterMs, renew);
  }

  #connect(onEnd: (end: ConnectionEnd) => void, leaving: AbortSignal): Promise<Connection> {
    const { dial, clock, client } = this.#options;
    const { server, token } = this.login;
    const onFrame = (frame: Frame) => this.#events.frame(frame);
    const signal = AbortSignal.any([this.#stop.signal, leaving]);
    return openConnection({ dial, clock, server, token, client, signal, onFrame, onEnd });
  }

  #connected(connection: Connection): void {
    this.#become("Ready");
    this.#events.connected(connection);
    this.#started.resolve();
  }

  #disconnected(): void {
    this.#cancelRenewal();
    if (this.#stop.signal.aborted) return;
    this.#become("Reconnecting");
    this.#events.disconnected();
  }

  /** Why a client that was never connected should not go on trying. */
  #hopeless(error: ConnectionEnd | CimError): Over | null {
    if (this.#state !== "Connecting") return null;
    if (this.#plan.attempt < this.#options.loginAttempts) return null;
    return { reason: "refused", text: error.message };
  }

  #giveUp(over: Over, error: ConnectionEnd | CimError): void {
    this.#options.log.error({ reason: over.reason, error: error.message }, "giving up");
    this.#started.reject(
      error instanceof CimError ? error : new CimError("RECONNECT_FAILED", over.text, { cause: error }),
    );
    this.end(over, "Failed");
  }

  async #wait(error: ConnectionEnd | CimError): Promise<void> {
    const { clock, log, backoff } = this.#options;
    const { attempt, step } = this.#plan;
    const reason = error instanceof ConnectionEnd ? error.reason : error.code;
    const delayMs = backoff(attempt - 1) + (error instanceof ConnectionEnd ? error.afterMs : 0);
    log.warn({ reason, text: error.message, attempt, delayMs, next: step }, "not connected");
    this.#events.status({ type: "waiting", reason, text: error.message, attempt, delayMs });
    const hurried = new AbortController();
    this.#endWait = () => hurried.abort();
    await sleep(clock, delayMs, AbortSignal.any([this.#stop.signal, hurried.signal]));
  }

  #become(state: State): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.log.debug({ state }, "state");
    this.#events.status({ type: "state", state });
  }
}
