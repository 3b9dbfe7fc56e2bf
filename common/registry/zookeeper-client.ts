/**
 * One client of the ZooKeeper library, with what it lacks: promises, a time limit on each call, and an end to a
 * connection on which nothing is answered. No other file names the library.
 */
import zookeeper from "node-zookeeper-client";

/** What a client tells; nothing any more once it was abandoned. */
export interface ZooKeeperEvents {
  connected(): void;
  disconnected(): void;
  /** ZooKeeper gave up the session: this client will never connect again. */
  expired(): void;
  /** Something came from ZooKeeper. Called before what came is handed on. */
  heard(): void;
  /** The names below `path`, or what it holds, changed since they were read. Once for each time they were. */
  changed(path: string): void;
}

/** The part of the library we use. */
interface LibraryClient {
  connect(): void;
  close(): void;
  on(event: "connected" | "disconnected" | "expired", listener: () => void): void;
  getSessionId(): Buffer;
  getSessionTimeout(): number;
  create(path: string, data: Buffer, mode: number, done: Done<string>): void;
  setData(path: string, data: Buffer, done: Done<unknown>): void;
  exists(path: string, done: Done<{ ephemeralOwner: Buffer } | null>): void;
  getData(
    path: string,
    watcher: Watcher,
    done: (error: Error | null, data: Buffer | undefined, stat: { czxid: Buffer }) => void,
  ): void;
  getChildren(path: string, watcher: Watcher, done: Done<string[]>): void;
  transaction(): LibraryTransaction;
  /** Not of its documented surface, but nothing else gives up a connection, or stops it from making the next. */
  connectionManager: {
    socket?: { destroy(): void };
    pendingBuffer: Buffer | null;
    /** Called for the first connection, and whenever one was lost. */
    connect(): void;
  };
}

interface LibraryTransaction {
  remove(path: string): LibraryTransaction;
  create(path: string, data: Buffer, mode: number): LibraryTransaction;
  commit(done: Done<unknown>): void;
}

interface LibraryExceptions {
  SYSTEM_ERROR: number;
  create: (code: number, path?: string) => Error;
}

/** What a node holds, and what names this very node: another one at the same path has another id. */
export interface ZooKeeperNode {
  data: Uint8Array;
  id: string;
}

type Done<T> = (error: Error | null, result: T) => void;
type Watcher = (event: { path: string }) => void;

const RECONNECT_MS = 200;
const NOTHING = Buffer.alloc(0);
const { EPHEMERAL, PERSISTENT } = zookeeper.CreateMode;
const { CONNECTION_LOSS, NODE_EXISTS, NO_NODE } = zookeeper.Exception;

bearNewerCodes(zookeeper.Exception as unknown as LibraryExceptions);

export class ZooKeeperClient {
  readonly #library: LibraryClient;
  readonly #events: ZooKeeperEvents;
  #connected = false;
  #abandoned = false;

  /** Starts to connect, and connects again whenever a connection is lost, until the session expired. */
  constructor(
    readonly hosts: string,
    sessionMs: number,
    events: ZooKeeperEvents,
  ) {
    this.#events = events;
    const options = { sessionTimeout: sessionMs, spinDelay: RECONNECT_MS, retries: 0 };
    this.#library = zookeeper.createClient(hosts, options) as unknown as LibraryClient;
    this.#library.on("connected", () => this.#tell("connected", true));
    this.#library.on("disconnected", () => this.#tell("disconnected", false));
    this.#library.on("expired", () => this.#tell("expired", false));
    this.#guardConnect();
    this.#library.connect();
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** The id ZooKeeper gave the session: the owner of its ephemeral nodes. */
  get sessionId(): string {
    return this.#library.getSessionId().toString("hex");
  }

  /** Milliseconds of silence after which ZooKeeper gives up the session: as asked for, then as granted. */
  get sessionMs(): number {
    return this.#library.getSessionTimeout();
  }

  /** How long a call may take: so short that a hung ZooKeeper is left while another can still save the session. */
  get callMs(): number {
    return Math.floor(this.sessionMs / 3);
  }

  /** The names below `path`, and a watch on them; null when there is no such node. */
  children(path: string): Promise<string[] | null> {
    return unless(
      NO_NODE,
      this.#call<string[]>((library, done) => library.getChildren(path, this.#watcher, done)),
    );
  }

  /** What a node holds, and a watch on it; null when there is no such node. */
  data(path: string): Promise<ZooKeeperNode | null> {
    const node = this.#call<ZooKeeperNode>((library, done) =>
      library.getData(path, this.#watcher, (error, data = NOTHING, stat) =>
        done(error, { data, id: stat?.czxid.toString("hex") ?? "" }),
      ),
    );
    return unless(NO_NODE, node);
  }

  /** The session an ephemeral node belongs to; null when there is no such node. */
  async owner(path: string): Promise<string | null> {
    const stat = await this.#call<{ ephemeralOwner: Buffer } | null>((library, done) =>
      library.exists(path, done),
    );
    return stat?.ephemeralOwner.toString("hex") ?? null;
  }

  /** Makes `path` and all above it, persistent; what is there already stays as it is. */
  async makeParents(path: string): Promise<void> {
    const names = path.split("/");
    for (let depth = 2; depth <= names.length; depth++) {
      const parent = names.slice(0, depth).join("/");
      const made = this.#call<string>((library, done) => library.create(parent, NOTHING, PERSISTENT, done));
      await unless(NODE_EXISTS, made);
    }
  }

  /** Makes a node that lives as long as this session. */
  async create(path: string, data: Buffer): Promise<void> {
    await this.#call<string>((library, done) => library.create(path, data, EPHEMERAL, done));
  }

  /** Puts a node of this session in the place of one of another; nobody sees the place empty. */
  async replace(path: string, data: Buffer): Promise<void> {
    await this.#call<unknown>((library, done) =>
      library.transaction().remove(path).create(path, data, EPHEMERAL).commit(done),
    );
  }

  async setData(path: string, data: Buffer): Promise<void> {
    await this.#call<unknown>((library, done) => library.setData(path, data, done));
  }

  /** Gives up the connection; the library goes on to the next member of the ensemble. */
  drop(): void {
    this.#library.connectionManager.socket?.destroy();
  }

  /** Ends the session, and with it its nodes; resolves when ZooKeeper has done so, or cannot be told. */
  async close(): Promise<void> {
    this.#abandoned = true;
    if (this.#connected) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const limit = setTimeout(resolve, this.callMs);
      this.#library.on("disconnected", resolve);
      this.#library.close();
      await promise;
      clearTimeout(limit);
    }
    this.abandon();
  }

  /** Lets go of the client, and leaves its session to expire. */
  abandon(): void {
    this.#abandoned = true;
    this.drop();
    // It may have been about to connect, which cannot be called back.
    setTimeout(() => this.drop(), 2 * RECONNECT_MS).unref();
  }

  #guardConnect(): void {
    const { connectionManager } = this.#library;
    const connect = connectionManager.connect.bind(connectionManager);
    connectionManager.connect = () => {
      if (this.#abandoned) return;
      // It would read half a frame of the last connection as the start of this one.
      connectionManager.pendingBuffer = null;
      connect();
    };
  }

  #tell(event: "connected" | "disconnected" | "expired", connected: boolean): void {
    this.#connected = connected;
    if (!this.#abandoned) this.#events[event]();
    else if (connected) this.#library.close();
  }

  #call<T>(start: (library: LibraryClient, done: Done<T>) => void): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    // The library would queue it, with all its repetitions, and send them together when it is too late.
    if (!this.#connected) reject(new Error(`not connected to zookeeper ${this.hosts} (CIM_REGISTRY)`));
    else {
      const ms = this.callMs;
      const limit = setTimeout(() => {
        reject(new Error(`no answer from zookeeper ${this.hosts} in ${ms} ms (CIM_REGISTRY)`));
        this.drop();
      }, ms);
      start(this.#library, (error, result) => {
        clearTimeout(limit);
        if (!this.#abandoned && codeOf(error) !== CONNECTION_LOSS) this.#events.heard();
        if (error) reject(error);
        else resolve(result);
      });
    }
    return promise;
  }

  // One function for all watches: the library keeps one of it for each path, however often it is set.
  readonly #watcher: Watcher = (event) => {
    if (this.#abandoned) return;
    this.#events.heard();
    this.#events.changed(event.path);
  };
}

/** The promise's value; null when it failed with that code. */
async function unless<T>(code: number, promise: Promise<T>): Promise<T | null> {
  try {
    return await promise;
  } catch (error) {
    if (codeOf(error) === code) return null;
    throw error;
  }
}

function codeOf(error: unknown): number | undefined {
  return (error as { code?: number } | null)?.code;
}

/** At a code it does not know (a quota that is used up) the library throws where nobody can catch it. */
function bearNewerCodes(exceptions: LibraryExceptions): void {
  const { SYSTEM_ERROR, create } = exceptions;
  exceptions.create = (code, path) => {
    try {
      return create(code, path);
    } catch {
      const error = create(SYSTEM_ERROR, path);
      error.message = `zookeeper answered with error ${code}`;
      return error;
    }
  };
}
