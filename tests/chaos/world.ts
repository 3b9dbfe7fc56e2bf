/** The processes of one run: routes, servers, what keeps things for them, and the network between. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { freePorts } from "../support/ports.ts";
import { REPOSITORY, RunningProcess } from "../support/process.ts";
import { type RedisServer, startRedisWith } from "../support/redis.ts";
import { until } from "../support/until.ts";
import { prepareZooKeeper, type ZooKeeper } from "../support/zookeeper.ts";
import { Gate } from "./gate.ts";
import { Namespace } from "./namespace.ts";

export type Engines = "embedded" | "distributed";

export interface WorldOptions {
  engines: Engines;
  routes: number;
  servers: number;
  /** For data, logs and journals. */
  directory: string;
  /** Beyond the world's own, for every role. */
  env?: Record<string, string>;
}

export const LEASE_SECONDS = 3;
const HEARTBEAT_SECONDS = 2;
/** As shipped by ZooKeeper itself it is 2000, which makes sessions last 4 s at least. */
const ZOOKEEPER_TICK_MS = 500;
const READY_MS = 30_000;

/** A role, one process of it at a time. */
export class Role {
  #process: RunningProcess | null = null;
  readonly #earlier: RunningProcess[] = [];

  constructor(
    readonly name: string,
    readonly command: readonly string[],
    readonly env: Record<string, string>,
    /** Its HTTP side. */
    readonly url: string,
    /** What its /health answers when it is up. */
    readonly ready: readonly number[],
  ) {}

  get process(): RunningProcess {
    if (!this.#process) throw new Error(`${this.name} was not started`);
    return this.#process;
  }

  async start(): Promise<void> {
    if (this.#process) this.#earlier.push(this.#process);
    this.#process = new RunningProcess(this.command, { env: this.env });
    await this.healthy(this.ready);
  }

  /** @throws when it ends, or does not answer so in time */
  async healthy(statuses: readonly number[] = [200]): Promise<void> {
    const { process, url, name } = this;
    const answer = await until(
      `${name} is healthy (${url}/health)`,
      async () => {
        if (!process.running) return "ended";
        return statuses.includes(
          (await fetch(`${url}/health`, { signal: AbortSignal.timeout(1000) })).status,
        );
      },
      READY_MS,
    );
    if (answer === "ended") throw new Error(`${name} ended by itself:\n${process.output.slice(-2000)}`);
  }

  kill(): Promise<void> {
    return this.process.kill();
  }

  /** Everything all its processes printed. */
  get output(): string {
    return [...this.#earlier, ...(this.#process ? [this.#process] : [])].map((one) => one.output).join("\n");
  }
}

export class World {
  readonly routes: Role[] = [];
  readonly servers: Role[] = [];
  /** Servers that were drained, and others started in their place. */
  readonly replaced: Role[] = [];
  /** To the routes; and to what else is reached from inside the namespace. */
  readonly gates: Gate[] = [];
  readonly #otherGates: Gate[] = [];
  /** What clients and servers on this machine call. */
  routeUrl = "";
  readonly adminKey = crypto.randomUUID();
  /** Null where the engines are embedded. */
  redis: RedisServer | null = null;
  zookeeper: ZooKeeper | null = null;
  /** Why there is no network to cut; null when there is. */
  noNetwork: string | null = null;
  namespace: Namespace | null = null;
  readonly #options: WorldOptions;
  readonly #secret = crypto.randomUUID();
  #env: Record<string, string> = {};
  #serversMade = 0;

  private constructor(options: WorldOptions) {
    this.#options = options;
  }

  static async start(options: WorldOptions): Promise<World> {
    const world = new World(options);
    try {
      await world.#start();
      return world;
    } catch (error) {
      await world.end();
      throw error;
    }
  }

  /** A server like those there are, on ports of its own; not started yet. The last of them lives in the namespace. */
  async makeServer(inside: boolean): Promise<Role> {
    const [tcp, http] = await freePorts(2);
    const host = inside ? this.namespace!.inside : "127.0.0.1";
    const url = `http://${host}:${http}`;
    const env = {
      ...(inside ? this.#outsideEnv() : this.#env),
      CIM_HOST: host,
      CIM_SERVER_PORT: String(tcp),
      CIM_SERVER_HTTP_PORT: String(http),
    };
    const command = [...(inside ? this.namespace!.prefix : []), "bun", "server/main.ts"];
    return new Role(
      `server ${++this.#serversMade}${inside ? " (in a namespace)" : ""}`,
      command,
      env,
      url,
      [200],
    );
  }

  isInside(server: Role): boolean {
    return server.command.includes("netns");
  }

  /** Everything is up and says so. */
  async healthy(): Promise<void> {
    await Promise.all([...this.servers, ...this.routes].map((role) => role.healthy()));
  }

  async end(): Promise<void> {
    await Promise.all([...this.servers, ...this.routes].map((role) => role.kill().catch(() => undefined)));
    await this.redis?.[Symbol.asyncDispose]();
    await this.zookeeper?.[Symbol.asyncDispose]();
    for (const gate of [...this.gates, ...this.#otherGates]) gate.close();
    await this.namespace?.close();
  }

  async #start(): Promise<void> {
    const { engines, routes, servers, directory } = this.#options;
    const namespace = await Namespace.open();
    if (typeof namespace === "string") this.noNetwork = namespace;
    else this.namespace = namespace;
    await mkdir(join(directory, "data"), { recursive: true });
    if (engines === "distributed") {
      this.redis = await startRedisWith(join(REPOSITORY, "deploy/redis.conf"));
      this.zookeeper = await prepareZooKeeper({ tickMs: ZOOKEEPER_TICK_MS });
      await this.zookeeper.start();
    }
    const [gatePort, ...routePorts] = await freePorts(1 + routes);
    this.routeUrl = `http://127.0.0.1:${gatePort}`;
    this.#env = {
      CIM_DATA: join(directory, "data"),
      CIM_SECRET: this.#secret,
      CIM_ADMIN_KEY: this.adminKey,
      CIM_ROUTE_URL: this.routeUrl,
      CIM_LEASE_SECONDS: String(LEASE_SECONDS),
      CIM_HEARTBEAT_SECONDS: String(HEARTBEAT_SECONDS),
      ...(this.redis && { CIM_STORE: this.redis.url }),
      ...(this.zookeeper && { CIM_REGISTRY: `zookeeper://${this.zookeeper.host}` }),
      ...this.#options.env,
    };
    await this.#openGates(gatePort!, routePorts);
    for (const [i, port] of routePorts.entries()) {
      const env = { ...this.#env, CIM_ROUTE_PORT: String(port) };
      const url = `http://127.0.0.1:${port}`;
      // Without a server it is up, and says that it cannot serve.
      this.routes.push(new Role(`route ${i + 1}`, ["bun", "route/main.ts"], env, url, [200, 503]));
    }
    await Promise.all(this.routes.map((route) => route.start()));
    for (let i = 0; i < servers; i++) {
      this.servers.push(await this.makeServer(this.namespace !== null && i === servers - 1));
    }
    await Promise.all(this.servers.map((server) => server.start()));
    await this.healthy();
  }

  async #openGates(port: number, routePorts: readonly number[]): Promise<void> {
    this.gates.push(await Gate.open("127.0.0.1", port, routePorts));
    if (!this.namespace) return;
    this.gates.push(await Gate.open(this.namespace.outside, port, routePorts));
    const { zookeeper } = this;
    if (zookeeper) {
      this.#otherGates.push(await Gate.open(this.namespace.outside, zookeeper.port, [zookeeper.port]));
    }
  }

  /** The same, as it is reached from inside the namespace. */
  #outsideEnv(): Record<string, string> {
    const { outside } = this.namespace!;
    const entries = Object.entries(this.#env).map(([name, value]) => {
      const elsewhere = name === "CIM_ROUTE_URL" || name === "CIM_REGISTRY";
      return [name, elsewhere ? value.replaceAll("127.0.0.1", outside) : value];
    });
    return Object.fromEntries(entries) as Record<string, string>;
  }
}
