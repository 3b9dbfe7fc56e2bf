/** A server's word to ZooKeeper: an ephemeral node under /cim, as CIM v2 has it. */
import type { Logger } from "../logger.ts";
import { addressOf, type Registrar, type ServerInstance } from "./registry.ts";
import { encodeNodeData, parseNodeName, ROOT } from "./zookeeper-node.ts";
import { type ZooKeeperConnection, ZooKeeperSession } from "./zookeeper-session.ts";

const TRY_AGAIN_MS = 250;
const MAX_RENEW_MS = 3 * 1000;

/**
 * A session that was lost is replaced and the server registered anew, also over a node that an earlier session of this
 * address left behind.
 */
export function openZooKeeperRegistrar(connection: ZooKeeperConnection, log: Logger): Registrar {
  return new ZooKeeperRegistrar(connection, log);
}

class ZooKeeperRegistrar implements Registrar {
  readonly #session: ZooKeeperSession;
  readonly #root: string;
  readonly #announced = Promise.withResolvers<void>();
  #self: (() => ServerInstance) | null = null;
  #returned: (() => void) | undefined;
  /** What the node holds, since this session wrote it. */
  #held: { sessionId: string; data: Buffer } | null = null;
  #renewing = false;
  #timer: Timer | undefined;
  #left = false;

  constructor(
    connection: ZooKeeperConnection,
    readonly log: Logger,
  ) {
    this.#root = connection.chroot + ROOT;
    this.#session = new ZooKeeperSession(connection, log, { ready: () => void this.#renew() });
  }

  async announce(self: () => ServerInstance, returned?: () => void): Promise<void> {
    const address = addressOf(self());
    if (parseNodeName(address) === null) {
      const want = "a host name or IPv4 address, as CIM v2 splits at the colons (CIM_ADVERTISE)";
      throw new Error(`cannot register ${address} with zookeeper: want ${want}`);
    }
    this.#self = self;
    this.#returned = returned;
    void this.#renew();
    await this.#announced.promise;
  }

  trouble(): string | null {
    // What a session registered stands until it expires, connected or not.
    if (this.#held && this.#session.awayMs < this.#session.client.sessionMs) return null;
    return this.#session.trouble() ?? `not yet registered with zookeeper ${this.#session.connection.hosts}`;
  }

  async leave(): Promise<void> {
    this.#left = true;
    clearTimeout(this.#timer);
    // Nobody is to wait for what will not come.
    this.#announced.resolve();
    await this.#session.close();
  }

  /** Makes the node what it should be: at each new connection, and at intervals. */
  async #renew(): Promise<void> {
    if (this.#self === null || this.#left || this.#renewing || !this.#session.client.connected) return;
    this.#renewing = true;
    clearTimeout(this.#timer);
    let nextMs = Math.min(this.#session.client.callMs, MAX_RENEW_MS);
    try {
      await this.#register(this.#self());
      this.#announced.resolve();
    } catch (error) {
      this.log.warn({ err: error }, "cannot register with zookeeper, trying again");
      nextMs = TRY_AGAIN_MS;
    }
    this.#renewing = false;
    if (!this.#left) this.#timer = setTimeout(() => void this.#renew(), nextMs);
  }

  async #register(server: ServerInstance): Promise<void> {
    const { client } = this.#session;
    const { sessionId } = client;
    const path = `${this.#root}/${addressOf(server)}`;
    const data = encodeNodeData(server);
    const owner = await client.owner(path);
    if (owner === null) {
      await client.makeParents(this.#root);
      await client.create(path, data);
      this.log.info({ path }, "registered with zookeeper");
    } else if (owner !== sessionId) {
      const text =
        this.#held?.sessionId === sessionId
          ? "another server registers with our address: each wants its own (CIM_ADVERTISE)"
          : "registered with zookeeper, over a node of an earlier session";
      this.log.warn({ path }, text);
      await client.replace(path, data);
    } else if (this.#held?.sessionId !== sessionId || !this.#held.data.equals(data)) {
      await client.setData(path, data);
    }
    const wasGivenUp = this.#held !== null && owner !== sessionId;
    this.#held = { sessionId, data };
    if (wasGivenUp) this.#returned?.();
  }
}
