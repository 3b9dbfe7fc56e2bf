/** What ZooKeeper says of servers: the nodes under /cim, read when they change. */
import type { Logger } from "../logger.ts";
import { addressOf, type Directory, type ServerInstance } from "./registry.ts";
import { decodeNode, parseNodeName, ROOT } from "./zookeeper-node.ts";
import { type ZooKeeperConnection, ZooKeeperSession } from "./zookeeper-session.ts";

const FIRST_LIST_MS = 1000;
const TRY_AGAIN_MS = 250;
/** Starts that are over, remembered so that asking for one again reads nothing. */
const MAX_GONE = 10_000;

/**
 * Resolves after the first list, or a second without one: then `trouble` says so, and the list comes when ZooKeeper
 * does. From then on the last known list serves, whatever becomes of ZooKeeper.
 */
export async function openZooKeeperDirectory(
  connection: ZooKeeperConnection,
  log: Logger,
): Promise<Directory> {
  const directory = new ZooKeeperDirectory(connection, log);
  await directory.firstList(FIRST_LIST_MS);
  return directory;
}

class ZooKeeperDirectory implements Directory {
  readonly #session: ZooKeeperSession;
  readonly #root: string;
  readonly #watchers = new Set<() => void>();
  readonly #firstList = Promise.withResolvers<void>();
  #listed = false;
  #closed = false;

  /** By node name, which is the server's address. */
  #known = new Map<string, ServerInstance>();
  #servers: readonly ServerInstance[] = [];
  #malformed = new Set<string>();
  /** Who was alive before a silence of ZooKeeper and may have to register anew, and until when that is waited for. */
  #awaited = { names: new Set<string>(), until: 0 };

  /** Starts, as "<address> <bootId>", that were asked for and not heard of, and those known to be over. */
  readonly #doubted = new Set<string>();
  readonly #gone = new Set<string>();

  /** What is out of date: the list of names, the data of these nodes. */
  #stale = { list: true, data: new Set<string>() };
  #reading = false;
  #timer: Timer | undefined;

  constructor(
    connection: ZooKeeperConnection,
    readonly log: Logger,
  ) {
    this.#root = connection.chroot + ROOT;
    this.#session = new ZooKeeperSession(connection, log, {
      ready: () => this.#readAll(),
      returned: () => this.#await(),
      changed: (path) => this.#changed(path),
    });
  }

  async firstList(limitMs: number): Promise<void> {
    const limit = setTimeout(this.#firstList.resolve, limitMs);
    await this.#firstList.promise;
    clearTimeout(limit);
  }

  servers(): readonly ServerInstance[] {
    return this.#servers;
  }

  state(address: string, bootId: string): "alive" | "gone" | "unknown" {
    if (!this.#listed) return "unknown";
    if (this.#known.get(address)?.bootId === bootId) return "alive";
    const start = startOf(address, bootId);
    if (this.#gone.has(start)) return "gone";
    // Another route may have heard of a new server before this one: only a list read from now on tells.
    if (!this.#doubted.has(start)) {
      this.#doubted.add(start);
      this.#stale.data.add(address);
      this.#changed(this.#root);
    }
    return "unknown";
  }

  watch(changed: () => void): () => void {
    const watcher = () => changed();
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  trouble(): string | null {
    if (this.#listed) return null;
    return (
      this.#session.trouble() ?? `no list of servers from zookeeper ${this.#session.connection.hosts} yet`
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#session.close();
  }

  #readAll(): void {
    this.#stale = { list: true, data: new Set(this.#known.keys()) };
    void this.#read();
  }

  #changed(path: string): void {
    if (path === this.#root) this.#stale.list = true;
    else this.#stale.data.add(path.slice(this.#root.length + 1));
    void this.#read();
  }

  /** One reading at a time; what changes during one is read in the next. */
  async #read(): Promise<void> {
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    try {
      while (this.#stale.list || this.#stale.data.size > 0) await this.#readStale();
    } catch (error) {
      this.#stale = { list: true, data: new Set(this.#known.keys()) };
      // After a lost connection the next one makes all be read.
      if (this.#session.client.connected) {
        this.log.warn({ err: error }, "cannot read the servers from zookeeper, trying again");
        this.#readIn(TRY_AGAIN_MS);
      }
    }
    this.#reading = false;
  }

  #readIn(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.#changed(this.#root), ms);
  }

  async #readStale(): Promise<void> {
    const stale = this.#stale;
    const doubted = stale.list ? [...this.#doubted] : [];
    this.#stale = { list: false, data: new Set() };
    const names = stale.list ? await this.#list() : [...this.#known.keys()];
    const servers = await Promise.all(
      names.map(async (name) => (!stale.data.has(name) && this.#known.get(name)) || this.#server(name)),
    );
    const known = new Map<string, ServerInstance>();
    for (const server of servers) if (server) known.set(addressOf(server), server);
    for (const start of doubted) this.#isOver(start);
    this.#publish(known);
  }

  #isOver(start: string): void {
    this.#doubted.delete(start);
    this.#gone.add(start);
    if (this.#gone.size > MAX_GONE) this.#gone.delete(this.#gone.values().next().value!);
  }

  async #list(): Promise<string[]> {
    const { client } = this.#session;
    let names = await client.children(this.#root);
    if (names === null) {
      await client.makeParents(this.#root);
      names = (await client.children(this.#root)) ?? [];
    }
    const malformed = names.filter((name) => parseNodeName(name) === null);
    for (const name of malformed) {
      if (!this.#malformed.has(name))
        this.log.warn({ name }, "ignoring a node that is not <host>:<port>:<httpPort>");
    }
    this.#malformed = new Set(malformed);
    return names.filter((name) => !this.#malformed.has(name));
  }

  async #server(name: string): Promise<ServerInstance | null> {
    const node = await this.#session.client.data(`${this.#root}/${name}`);
    return node && decodeNode(parseNodeName(name)!, node);
  }

  #publish(known: Map<string, ServerInstance>): void {
    const { names, until } = this.#awaited;
    const left = until - performance.now();
    for (const name of names) {
      const before = this.#known.get(name);
      if (known.has(name) || !before || left <= 0) names.delete(name);
      else known.set(name, before);
    }
    if (names.size > 0) this.#readIn(left + 1);
    for (const [name, { bootId }] of this.#known) {
      if (known.get(name)?.bootId !== bootId) this.#isOver(startOf(name, bootId));
    }
    const servers = [...known.values()].sort((a, b) => (addressOf(a) < addressOf(b) ? -1 : 1));
    const changed = !this.#listed || summary(servers) !== summary(this.#servers);
    this.#known = known;
    this.#servers = servers;
    this.#listed = true;
    this.#firstList.resolve();
    if (changed) for (const watcher of this.#watchers) watcher();
  }

  /** A ZooKeeper that hung ends all sessions when it wakes: the servers get the time of one to come back. */
  #await(): void {
    const ms = this.#session.client.sessionMs;
    this.#awaited = { names: new Set(this.#known.keys()), until: performance.now() + ms };
    this.#readIn(ms + 1);
  }
}

function startOf(address: string, bootId: string): string {
  return `${address} ${bootId}`;
}

/** What watchers are told of: who is there, and who takes newcomers; not how busy they are. */
function summary(servers: readonly ServerInstance[]): string {
  return JSON.stringify(servers.map((server) => ({ ...server, connections: 0 })));
}
