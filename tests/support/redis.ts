/** Real Redis servers on free loopback ports: one alone, one with a replica and Sentinels, or a Cluster of three. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { Redis } from "ioredis";
import { freePorts } from "./ports.ts";
import { until } from "./until.ts";

const READY_MS = 10 * 1000;
const CLUSTER_SLOTS = 16384;

/** Why no Redis can be started here; null when one can. */
export const redisMissing: string | null = Bun.which("redis-server") ? null : "no redis-server in PATH";

/** One process of redis-server at a time, always on the same port and data. */
export class RedisServer {
  #process: Subprocess | null = null;

  constructor(
    readonly directory: string,
    readonly port: number,
    readonly command: readonly string[],
    readonly password?: string,
  ) {}

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `redis://${this.host}`;
  }

  async start(): Promise<void> {
    this.#process = Bun.spawn(["redis-server", ...this.command], {
      cwd: this.directory,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    await until(`redis ${this.host} serves`, async () => (await this.ask("PING")) === "PONG", READY_MS);
  }

  /** Runs one command over a connection of its own. */
  async ask(command: string, ...args: (string | number)[]): Promise<unknown> {
    const { port, password } = this;
    const redis = new Redis({ host: "127.0.0.1", port, password, lazyConnect: true, retryStrategy: null });
    redis.on("error", () => undefined);
    try {
      await redis.connect();
      return await redis.call(command, ...args);
    } finally {
      redis.disconnect();
    }
  }

  async isMaster(): Promise<boolean> {
    return /role:master/.test(String(await this.ask("INFO", "replication")));
  }

  /** Hangs it: its port still takes connections, and nothing is answered. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** `kill -9`; waits until it is gone. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
    this.#process = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** One Redis; `options` are lines of its configuration. By default it keeps nothing on disk. */
export async function startRedis(options: Record<string, string> = {}): Promise<RedisServer> {
  const [port] = await freePorts(1);
  return started(await prepare(port!, { save: "", appendonly: "no", ...options }));
}

/** One Redis that reads a configuration file, but for the port and the directory. */
export async function startRedisWith(file: string): Promise<RedisServer> {
  const [port] = await freePorts(1);
  const directory = await mkdtemp(join(tmpdir(), "cim-redis-"));
  return started(new RedisServer(directory, port!, [file, "--port", String(port), "--dir", directory]));
}

/** Several servers that a client reaches by one URL. */
export class RedisGroup {
  constructor(
    readonly url: string,
    readonly servers: readonly RedisServer[],
    readonly helpers: readonly RedisServer[] = [],
  ) {}

  /** Empties all masters. */
  async flush(): Promise<void> {
    for (const server of this.servers) if (await server.isMaster()) await server.ask("FLUSHALL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [...this.helpers, ...this.servers]) await server[Symbol.asyncDispose]();
  }
}

/** A master, its replica, and a Sentinel that makes the replica the master a second after the master is gone. */
export async function startSentinel(): Promise<RedisGroup> {
  const [first, second, sentinel] = await freePorts(3);
  const settings = { save: "", appendonly: "no", "repl-diskless-sync-delay": "0" };
  await using parts = new AsyncDisposableStack();
  const master = parts.use(await prepare(first!, settings));
  const replica = parts.use(await prepare(second!, { ...settings, replicaof: `127.0.0.1 ${first}` }));
  await Promise.all([master.start(), replica.start()]);
  await until("the replica follows", async () =>
    /master_link_status:up/.test(String(await replica.ask("INFO", "replication"))),
  );
  const directory = await mkdtemp(join(tmpdir(), "cim-sentinel-"));
  const file = join(directory, "sentinel.conf");
  const lines = [
    `port ${sentinel}`,
    "bind 127.0.0.1",
    `dir ${directory}`,
    `sentinel monitor mymaster 127.0.0.1 ${first} 1`,
    "sentinel down-after-milliseconds mymaster 1000",
    "sentinel failover-timeout mymaster 3000",
    "",
  ];
  await Bun.write(file, lines.join("\n"));
  const watcher = parts.use(new RedisServer(directory, sentinel!, [file, "--sentinel"]));
  await watcher.start();
  await until("the Sentinel knows the replica", async () =>
    /slaves=1/.test(String(await watcher.ask("INFO", "sentinel"))),
  );
  parts.move();
  return new RedisGroup(`redis+sentinel://127.0.0.1:${sentinel}/mymaster`, [master, replica], [watcher]);
}

/** A Cluster of three masters; `options` are lines of their configuration. */
export async function startCluster(options: Record<string, string> = {}): Promise<RedisGroup> {
  // Each node also needs a port for the others, by default 10000 above its own, where nobody asked whether it is free.
  const ports = await freePorts(6);
  const settings = { save: "", appendonly: "no", "cluster-enabled": "yes", "cluster-node-timeout": "2000" };
  const servers = await Promise.all(
    [0, 1, 2].map((i) =>
      prepare(ports[i]!, { ...settings, "cluster-port": String(ports[i + 3]), ...options }),
    ),
  );
  await using parts = new AsyncDisposableStack();
  for (const server of servers) parts.use(server);
  await Promise.all(servers.map((server) => server.start()));
  const share = Math.ceil(CLUSTER_SLOTS / servers.length);
  for (const [i, server] of servers.entries()) {
    const last = Math.min((i + 1) * share, CLUSTER_SLOTS) - 1;
    await server.ask("CLUSTER", "ADDSLOTSRANGE", i * share, last);
    if (i > 0) await server.ask("CLUSTER", "MEET", "127.0.0.1", ports[0]!, ports[3]!);
  }
  for (const server of servers) {
    await until(`all of the Cluster know it is whole: ${server.host}`, async () => {
      const info = String(await server.ask("CLUSTER", "INFO"));
      return /cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info);
    });
  }
  parts.move();
  return new RedisGroup(`redis+cluster://${servers.map(({ host }) => host).join(",")}`, servers);
}

/** Started, or gone. */
async function started(server: RedisServer): Promise<RedisServer> {
  await using parts = new AsyncDisposableStack();
  parts.use(server);
  await server.start();
  parts.move();
  return server;
}

async function prepare(port: number, options: Record<string, string>): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), "cim-redis-"));
  const all = { port: String(port), bind: "127.0.0.1", dir: directory, ...options };
  // One argument for each word, as in a configuration file; "" is a word too.
  const command = Object.entries(all).flatMap(([name, value]) => [`--${name}`, ...value.split(" ")]);
  return new RedisServer(directory, port, command, options.requirepass);
}
