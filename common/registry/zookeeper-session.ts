/** A connection to ZooKeeper that survives its restarts, hangs and expiries. */
import type { Logger } from "../logger.ts";
import type { ZooKeeperAddress } from "./zookeeper-address.ts";
import { ZooKeeperClient } from "./zookeeper-client.ts";

export interface ZooKeeperConnection extends ZooKeeperAddress {
  /** Milliseconds without a sign of life after which ZooKeeper gives up a session. Default 10 s. */
  sessionMs?: number;
}

export interface SessionListener {
  /** Connected, in the old session or a new one: all watches are to be set anew. */
  ready(): void;
  /**
   * ZooKeeper is heard again after a silence in which it may have given up sessions whose owners are well alive.
   * Called before what was heard is handed on.
   */
  returned?(): void;
  changed?(path: string): void;
}

const DEFAULT_SESSION_MS = 10 * 1000;
const MIN_ATTEMPT_MS = 1000;
const FIRST_COMPLAINT_MS = 1000;
const MAX_COMPLAINT_MS = 60 * 1000;

export class ZooKeeperSession {
  readonly #sessionMs: number;
  readonly #log: Logger;
  readonly #listener: SessionListener;
  #client: ZooKeeperClient;
  #awaySince = performance.now();
  /** Since when this client tries, and since when this connection of it. */
  #trying = { client: 0, connection: 0 };
  #heardAt: number | null = null;
  #complaint: Timer | undefined;
  #watchdog: Timer | undefined;

  constructor(
    readonly connection: ZooKeeperConnection,
    log: Logger,
    listener: SessionListener,
  ) {
    this.#sessionMs = connection.sessionMs ?? DEFAULT_SESSION_MS;
    this.#log = log;
    this.#listener = listener;
    this.#client = this.#open();
    this.#complainIn(FIRST_COMPLAINT_MS);
    this.#watch();
  }

  /** Of the moment: another one after an expiry. */
  get client(): ZooKeeperClient {
    return this.#client;
  }

  /** How long there has been no connection; 0 while there is one. */
  get awayMs(): number {
    return this.#client.connected ? 0 : performance.now() - this.#awaySince;
  }

  /** What is wrong, in words; null while connected. */
  trouble(): string | null {
    if (this.#client.connected) return null;
    return `no answer from zookeeper ${this.connection.hosts} in ${Math.round(this.awayMs)} ms (CIM_REGISTRY)`;
  }

  /** Ends the session, and with it its nodes; resolves when ZooKeeper has done so, or cannot be told. */
  async close(): Promise<void> {
    clearTimeout(this.#watchdog);
    clearTimeout(this.#complaint);
    await this.#client.close();
  }

  #open(): ZooKeeperClient {
    const now = performance.now();
    this.#trying = { client: now, connection: now };
    return new ZooKeeperClient(this.connection.hosts, this.#sessionMs, {
      connected: () => this.#arrived(),
      disconnected: () => this.#lost(),
      expired: () => this.#renew("the session expired"),
      heard: () => this.#heard(),
      changed: (path) => this.#listener.changed?.(path),
    });
  }

  #arrived(): void {
    clearTimeout(this.#complaint);
    const fields = {
      hosts: this.connection.hosts,
      askedMs: this.#sessionMs,
      grantedMs: this.#client.sessionMs,
    };
    if (fields.grantedMs === fields.askedMs) this.#log.info(fields, "connected to zookeeper");
    else
      this.#log.warn(fields, "connected to zookeeper, which grants another session time-out than asked for");
    this.#heard();
    this.#listener.ready();
  }

  #lost(): void {
    const now = performance.now();
    this.#awaySince = now;
    this.#trying = { client: now, connection: now };
    this.#log.info({ hosts: this.connection.hosts }, "lost the connection to zookeeper");
    this.#complainIn(FIRST_COMPLAINT_MS);
  }

  #complainIn(ms: number): void {
    clearTimeout(this.#complaint);
    this.#complaint = setTimeout(() => {
      this.#log.warn({ hosts: this.connection.hosts }, this.trouble() ?? "");
      this.#complainIn(Math.min(ms * 2, MAX_COMPLAINT_MS));
    }, ms);
  }

  #renew(why: string): void {
    this.#log.warn({ hosts: this.connection.hosts }, `making a new session with zookeeper: ${why}`);
    this.#client.abandon();
    this.#client = this.#open();
  }

  #watch(): void {
    this.#watchdog = setTimeout(() => {
      this.#watch();
      this.#look();
    }, this.#client.callMs);
  }

  #look(): void {
    const now = performance.now();
    const { client, connection } = this.#trying;
    if (this.#client.connected) {
      this.#client
        .owner("/")
        .catch((error: Error) => this.#log.warn({ err: error }, "the watchdog got no answer from zookeeper"));
    } else if (now - client > Math.max(this.#sessionMs, 2 * MIN_ATTEMPT_MS)) {
      // The session is over by now, and the library queues more with each attempt.
      this.#renew(`no connection in ${Math.round(now - client)} ms`);
    } else if (now - connection > Math.max(this.#client.callMs, MIN_ATTEMPT_MS)) {
      // A port that takes connections and answers nothing, perhaps.
      this.#trying.connection = now;
      this.#client.drop();
    }
  }

  // Who lives shows it every third of its session's time, so after half of that some may be given up soon.
  #heard(): void {
    const now = performance.now();
    const silentMs = this.#heardAt === null ? 0 : now - this.#heardAt;
    this.#heardAt = now;
    if (silentMs > this.#client.sessionMs / 2) this.#listener.returned?.();
  }
}
