/** One connection to Redis, in whatever form, that fails fast and says why. */
import { createHash } from "node:crypto";
import { type TracingChannel, tracingChannel } from "node:diagnostics_channel";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { Logger } from "../../common/logger.ts";
import { CimError } from "../../proto/status.ts";
import type { RedisAddress } from "./redis-url.ts";

const CONNECT_TIMEOUT_MS = 2 * 1000;
/** A disk that is slow to sync delays every answer; one that takes longer than this counts as none. */
const COMMAND_TIMEOUT_MS = 2 * 1000;
/** A connection that owes an answer and brings nothing for this long is taken for dead: a firewall may have forgotten it. */
const SILENCE_MS = 4 * 1000;
const MAX_RECONNECT_MS = 500;
/** While something is wrong, `trouble()` asks this often whether it still is. */
const PROBE_EVERY_MS = 1000;
const PROBE_KEY = "cim:probe";
const PROBE_LIFE_SECONDS = 60;

// What Redis answers when it, and not the command, is at fault. Any other error reply is a bug of ours.
// https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
const FAILURES =
  /^(OOM|MISCONF|READONLY|LOADING|BUSY|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|NOAUTH|WRONGPASS|NOPERM|EXECABORT|UNBLOCKED) /;

// Those of them that only a command that writes meets: that a read succeeds says nothing.
const REFUSALS = /^(OOM|MISCONF|READONLY|NOREPLICAS) /;

// What ioredis says of its own state, in terms of its options.
const NOT_CONNECTED =
  /^(Stream isn't writeable|Reached the max retries|Connection is closed|Cluster isn't ready)/;

// Fail fast, and never send a command a second time: what became of the first is not known.
const OPTIONS = {
  connectTimeout: CONNECT_TIMEOUT_MS,
  commandTimeout: COMMAND_TIMEOUT_MS,
  socketTimeout: SILENCE_MS,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  // After a failover the old master is a replica: its connection is good for nothing, the command was not run.
  reconnectOnError: (error: Error) => (error.message.startsWith("READONLY") ? 1 : false),
} satisfies RedisOptions;

// Without this property, which Bun leaves out (https://github.com/oven-sh/bun/issues/27805), ioredis takes every command to
// be traced, and makes text of all its arguments for nobody.
const channels = Object.getPrototypeOf(tracingChannel("ioredis:command"));
if (!("hasSubscribers" in channels))
  Object.defineProperty(channels, "hasSubscribers", {
    get(this: TracingChannel) {
      const { start, end, asyncStart, asyncEnd, error } = this;
      return [start, end, asyncStart, asyncEnd, error].some((channel) => channel.hasSubscribers);
    },
  });

/** Text of a Lua script, and the hash by which Redis knows it. */
export interface Script {
  lua: string;
  sha: string;
}

export function script(lua: string): Script {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}

export type Argument = string | number | Buffer;

// ioredis has every command twice, also with Buffers for answers, but does not declare these two.
type Evaluate = (script: string, numberOfKeys: number, ...keysAndArgs: Argument[]) => Promise<unknown>;
type Commands = Redis & { evalshaBuffer: Evaluate; evalBuffer: Evaluate };

export class RedisClient {
  readonly #redis: Commands;
  readonly #name: string;
  #trouble: string | null = null;
  /** Only a write that succeeds ends the trouble. */
  #refusing = false;
  /** Why the last attempt to connect failed. */
  #lost = "the connection was closed";
  #probedAt = 0;
  #closed = false;
  /** How many scripts were sent a second time, after what was sent behind them, since Redis did not know them yet. */
  repeated = 0;

  constructor(
    readonly address: RedisAddress,
    log: Logger,
  ) {
    this.#name = `redis ${address.nodes.map(({ host, port }) => `${host}:${port}`).join(",")}`;
    this.#redis = open(address) as Commands;
    this.#redis.on("error", (error: Error) => {
      if (this.#trouble === null)
        log.warn({ redis: this.#name, error: error.message }, "redis is in trouble");
      this.#lost = reason(error);
      this.#trouble = `${this.#name}: ${this.#lost}`;
    });
    this.#redis.on("ready", () => {
      if (this.#trouble !== null) log.info({ redis: this.#name }, "redis answers again");
      this.#trouble = null;
    });
  }

  /** @throws CimError FALLBACK when Redis does not answer within `patienceMs` */
  async connect(patienceMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#redis.once("ready", resolve);
    const timer = setTimeout(() => {
      reject(new CimError("FALLBACK", this.#trouble ?? `${this.#name}: no answer in ${patienceMs} ms`));
    }, patienceMs);
    // It goes on trying by itself.
    this.#redis.connect().catch(() => undefined);
    await promise.finally(() => clearTimeout(timer));
  }

  /**
   * Makes one call, or several that share a pipeline.
   * @throws CimError FALLBACK naming the host, when Redis cannot be reached or does not do it
   */
  async run<T>(call: (redis: Redis) => Promise<T>): Promise<T> {
    if (this.#closed) throw new CimError("FALLBACK", `${this.#name} is closed`);
    try {
      const result = await call(this.#redis);
      if (!this.#refusing) this.#trouble = null;
      return result;
    } catch (error) {
      if (!isFailure(error)) throw error;
      const text = `${this.#name}: ${NOT_CONNECTED.test(error.message) ? `not connected (${this.#lost})` : reason(error)}`;
      this.#refusing ||= REFUSALS.test(error.message);
      this.#trouble ??= text;
      throw new CimError("FALLBACK", text, { cause: error });
    }
  }

  /** Runs a script; all its keys share a slot. Texts in the answer come as Buffers. */
  async script<T>({ lua, sha }: Script, keys: readonly string[], args: readonly Argument[]): Promise<T> {
    return this.run(async () => {
      try {
        return (await this.#redis.evalshaBuffer(sha, keys.length, ...keys, ...args)) as T;
      } catch (error) {
        // Not run, since Redis has not seen it yet or was restarted.
        if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
        this.repeated++;
        return (await this.#redis.evalBuffer(lua, keys.length, ...keys, ...args)) as T;
      }
    });
  }

  /**
   * The same for a script that reads its keys, one by one, from a text: `string.gmatch(ARGV[1], '%S+')`. The 345 keys of
   * an append of 69 messages, each an argument of its own, take the client library 200 µs more, and Redis 90. A Cluster
   * goes by the first; that all of them share its slot is up to the caller.
   * @param keys without spaces; one may stand for several, joined by them
   */
  scriptOfMany<T>(script: Script, keys: readonly string[], args: readonly Argument[] = []): Promise<T> {
    const all = keys.join(" ");
    const [first] = all.split(" ", 1);
    return this.script<T>(script, [first!], [all, ...args]);
  }

  /** Items that one script may handle: in a Cluster those of one shard, elsewhere all of them. In the order they came. */
  together<T>(items: readonly T[], shardOf: (item: T) => number): T[][] {
    if (items.length === 0) return [];
    return this.address.kind === "cluster" ? [...Map.groupBy(items, shardOf).values()] : [[...items]];
  }

  /** Where something is kept that concerns many shards: in a Cluster each has its own, elsewhere one has it for all. */
  home(shard: number): number {
    return this.address.kind === "cluster" ? shard : 0;
  }

  /** What is wrong, in words; null once it works (again), which it finds out for itself. */
  trouble(): string | null {
    const now = Date.now();
    if (this.#trouble !== null && !this.#closed && now - this.#probedAt >= PROBE_EVERY_MS) {
      this.#probedAt = now;
      void this.#probe();
    }
    return this.#trouble;
  }

  async #probe(): Promise<void> {
    try {
      await this.#redis.set(PROBE_KEY, 1, "EX", PROBE_LIFE_SECONDS);
      this.#refusing = false;
      this.#trouble = null;
    } catch {
      // The trouble is still what it was.
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#redis.disconnect();
  }
}

function open({ kind, nodes, master, username, password, db, tls }: RedisAddress): Redis {
  const options: RedisOptions = { ...OPTIONS, username, password, ...(tls && { tls: {} }) };
  const shared = { lazyConnect: true, enableOfflineQueue: false, enableAutoPipelining: true };
  // A pipeline of ioredis waits for the next turn, and until the one before it is answered: Redis and the route would work
  // in turns. What each message needs goes alone, then, and is gathered by us. A Cluster's nodes need it nevertheless:
  // while a connection to one is being made, it refuses what comes outside of the first.
  const alone = { ...shared, autoPipeliningIgnoredCommands: ["eval", "evalsha", "mget"] };
  const retryStrategy = (attempt: number) => Math.min(attempt * 50, MAX_RECONNECT_MS);
  if (kind === "cluster") {
    const cluster = new Cluster(nodes, {
      ...shared,
      clusterRetryStrategy: retryStrategy,
      clusterNodeRetryStrategy: retryStrategy,
      // A command whose connection closed may have been run.
      retryDelayOnFailover: 0,
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
      slotsRefreshInterval: 5 * 1000,
      redisOptions: options,
    });
    // All commands we use exist on both; only their constructors differ.
    return cluster as unknown as Redis;
  }
  if (kind === "sentinel") {
    const sentinel = {
      sentinels: nodes,
      name: master,
      sentinelRetryStrategy: retryStrategy,
      enableTLSForSentinelMode: tls,
    };
    return new Redis({ ...options, ...alone, db, retryStrategy, ...sentinel });
  }
  return new Redis({ ...options, ...alone, db, retryStrategy, ...nodes[0] });
}

function isFailure(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return error.name !== "ReplyError" || FAILURES.test(error.message);
}

// Errors of many attempts at once have an empty text of their own.
function reason(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map((one: Error) => one.message).join(", ");
  const last = (error as Error & { lastNodeError?: Error }).lastNodeError;
  return last ? `${error.message} (${last.message})` : error.message;
}
