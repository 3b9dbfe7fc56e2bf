/** The servers as the route uses them: which one a login is given, and how one is called. */
import type { Config } from "../common/config.ts";
import type { Link } from "../common/link.ts";
import type { Logger } from "../common/logger.ts";
import { addressOf, type Directory, isV2, type ServerInstance } from "../common/registry/registry.ts";
import { CimError } from "../proto/status.ts";
import { PICKS } from "./pick.ts";
import { postV2Push, type V2Push } from "./v2-push.ts";

/** A server that answered this lately is not asked again before a login is sent there. */
const ANSWERED_LATELY_MS = 1000;
const PROBE_TIMEOUT_MS = 1000;
/** How long one that did not answer is picked only when no other is left. */
const SET_ASIDE_MS = 3 * 1000;

/** Any server, or only those of ours: a CIM v2 server does not understand a login with a token. */
export type Wanted = "any" | "ours";

export interface ServersParts {
  directory: Directory;
  link: Link;
  pick: Config["pick"];
  logger: Logger;
}

/** What was last seen of one start of a server. */
interface Seen {
  answeredAt: number;
  failedAt: number;
  /** When it last called this route; and whether the last call to it failed. */
  heardAt: number;
  isDeaf: boolean;
  probe: Promise<boolean> | null;
}

export class Servers {
  readonly #parts: ServersParts;
  readonly #seen = new Map<string, Seen>();
  // Logins sent to a server since it last said how many connections it has: a renewal is a new object.
  readonly #sent = new WeakMap<ServerInstance, number>();
  readonly #unwatch: () => void;
  #listed: readonly ServerInstance[] = [];
  #byAddress = new Map<string, ServerInstance>();
  #turn = 0;
  #knowsV2 = false;

  constructor(parts: ServersParts) {
    this.#parts = parts;
    this.#unwatch = parts.directory.watch(() => this.#forget());
  }

  /**
   * A server for this user's login: one that is alive, takes newcomers and answers.
   * @throws CimError NO_SERVER when there is none
   */
  async choose(userId: number, wanted: Wanted = "any"): Promise<ServerInstance> {
    const left = this.alive().filter((server) => !server.full && (wanted === "any" || !isV2(server.bootId)));
    while (left.length > 0) {
      const server = this.#pick(left, userId);
      if (await this.#answers(server)) {
        this.#sent.set(server, (this.#sent.get(server) ?? 0) + 1);
        return server;
      }
      left.splice(left.indexOf(server), 1);
    }
    const alive = this.alive().length;
    throw new CimError("NO_SERVER", alive === 0 ? undefined : `none of ${alive} servers takes a login`);
  }

  /** In a stable order, those that take no newcomers included. */
  alive(): readonly ServerInstance[] {
    return this.#parts.directory.servers();
  }

  watch(changed: () => void): () => void {
    return this.#parts.directory.watch(changed);
  }

  /** This start of the server at `address`, if it is alive. */
  find(address: string, bootId: string): ServerInstance | null {
    const listed = this.alive();
    if (listed !== this.#listed) {
      this.#listed = listed;
      this.#byAddress = new Map(listed.map((server) => [addressOf(server), server]));
    }
    const server = this.#byAddress.get(address);
    return server?.bootId === bootId ? server : null;
  }

  state(address: string, bootId: string): "alive" | "gone" | "unknown" {
    return this.#parts.directory.state(address, bootId);
  }

  /**
   * Hands an encoded link.Downlink to a server, and answers the encoded link.DownlinkReply.
   * @throws CimError as Link.post
   */
  async post(server: ServerInstance, body: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    const seen = this.#seenOf(server);
    try {
      const answer = await this.#parts.link.post(`${httpUrl(server)}/internal/downlink`, body);
      seen.answeredAt = performance.now();
      seen.isDeaf = false;
      return answer;
    } catch (error) {
      // The next login asks before it is sent there.
      seen.answeredAt = Number.NEGATIVE_INFINITY;
      seen.isDeaf = true;
      throw error;
    }
  }

  /** This start of a server has called. */
  heard(address: string, bootId: string): void {
    const seen = this.#seen.get(`${address} ${bootId}`);
    if (seen) seen.heardAt = performance.now();
  }

  /**
   * Has a CIM v2 server push to one user.
   * @throws CimError as postV2Push, FALLBACK also while it is set aside because it did not answer
   */
  async sendMsg(server: ServerInstance, push: V2Push): Promise<void> {
    const seen = this.#seenOf(server);
    const url = `${httpUrl(server)}/sendMsg`;
    if (performance.now() < seen.failedAt + SET_ASIDE_MS) {
      throw new CimError("FALLBACK", `${url} is set aside: it did not answer`);
    }
    try {
      await postV2Push(this.#parts.link.fetch, url, push);
    } catch (error) {
      if (error instanceof CimError && error.status === "FALLBACK") {
        seen.failedAt = performance.now();
        seen.answeredAt = Number.NEGATIVE_INFINITY;
      }
      throw error;
    }
    seen.answeredAt = performance.now();
  }

  /** Whether there is a CIM v2 server, or was one since this route started. */
  get knowsV2(): boolean {
    if (this.#knowsV2) return true;
    const v2 = this.alive().find(({ bootId }) => isV2(bootId));
    if (!v2) return false;
    this.#parts.logger.info(
      { server: addressOf(v2) },
      "there are CIM v2 servers: nobody tells who is connected to them",
    );
    this.#knowsV2 = true;
    return true;
  }

  close(): void {
    this.#unwatch();
  }

  #pick(servers: readonly ServerInstance[], userId: number): ServerInstance {
    const asideSince = performance.now() - SET_ASIDE_MS;
    const trusted = servers.filter((server) => this.#seenOf(server).failedAt <= asideSince);
    return PICKS[this.#parts.pick](trusted.length > 0 ? trusted : servers, {
      userId,
      turn: this.#turn++,
      random: Math.random(),
      load: (server) => server.connections + (this.#sent.get(server) ?? 0),
    });
  }

  async #answers(server: ServerInstance): Promise<boolean> {
    const seen = this.#seenOf(server);
    if (performance.now() - seen.answeredAt < ANSWERED_LATELY_MS) return true;
    seen.probe ??= this.#probe(server, seen).finally(() => {
      seen.probe = null;
    });
    return seen.probe;
  }

  async #probe(server: ServerInstance, seen: Seen): Promise<boolean> {
    const began = performance.now();
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    try {
      const response = await this.#parts.link.fetch(new Request(`${httpUrl(server)}/health`, { signal }));
      // Whatever it says, it is there: what it cannot do right now it tells the directory by being full or leaving.
      await response.body?.cancel();
      seen.answeredAt = performance.now();
      seen.failedAt = Number.NEGATIVE_INFINITY;
      return true;
    } catch (error) {
      // A crowd is coming in: who finds time to call is only slow to answer. Unless what is sent to it does not arrive.
      if (signal.aborted && seen.heardAt >= began && !seen.isDeaf) return true;
      seen.failedAt = performance.now();
      this.#parts.logger.warn(
        { server: addressOf(server), error: String(error) },
        "a server does not answer",
      );
      return false;
    }
  }

  #seenOf(server: ServerInstance): Seen {
    const key = `${addressOf(server)} ${server.bootId}`;
    const known = this.#seen.get(key);
    if (known) return known;
    const never = Number.NEGATIVE_INFINITY;
    const seen = { answeredAt: never, failedAt: never, heardAt: never, isDeaf: false, probe: null };
    this.#seen.set(key, seen);
    return seen;
  }

  #forget(): void {
    // One that comes and goes while nobody asks is known as well.
    void this.knowsV2;
    const alive = new Set(this.alive().map((server) => `${addressOf(server)} ${server.bootId}`));
    for (const key of this.#seen.keys()) if (!alive.has(key)) this.#seen.delete(key);
  }
}

/** Where a server takes HTTP. */
export function httpUrl(server: Pick<ServerInstance, "host" | "httpPort" | "tls">): string {
  return `${server.tls ? "https" : "http"}://${server.host}:${server.httpPort}`;
}
