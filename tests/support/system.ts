/** A whole CIM as real processes with ports and a data directory of its own, to start, kill and start again. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./ports.ts";
import { RunningProcess } from "./process.ts";
import { until } from "./until.ts";

type Settings = Record<string, string>;

export interface SystemOptions {
  /** Settings beyond ports, data directory and secret, for every process. */
  env?: Settings;
  /** Route and this many servers as processes of their own. Default: one process for everything. */
  servers?: number;
}

const READY_MS = 15_000;

/** A role's process; ended, it can be started again on the same ports and data. */
export class Part {
  #process: RunningProcess | null = null;

  constructor(
    readonly entry: string,
    readonly env: Settings,
    /** What its /health answers once it is ready. */
    readonly health: { url: string; status: number[] }[],
    /** Its limit of open files (`ulimit -n`). Default: that of the tests. */
    public openFiles: number | null = null,
  ) {}

  get process(): RunningProcess {
    if (!this.#process) throw new Error(`${this.entry} was not started`);
    return this.#process;
  }

  /** Resolves when it is ready. */
  async start(env: Settings = {}): Promise<void> {
    const command =
      this.openFiles === null
        ? ["bun", this.entry]
        : ["sh", "-c", `ulimit -n ${this.openFiles} && exec bun ${this.entry}`];
    const started = new RunningProcess(command, { env: { ...this.env, ...env } });
    this.#process = started;
    for (const { url, status } of this.health) {
      const answered = await until(
        `${url}/health answers ${status.join(" or ")}`,
        async () => {
          if (!started.running) return "ended";
          return status.includes((await fetch(`${url}/health`)).status);
        },
        READY_MS,
      );
      if (answered === "ended") throw new Error(`bun ${this.entry} ended at its start:\n${started.output}`);
    }
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** SIGTERM; answers the exit code. */
  stop(): Promise<number> {
    return this.process.stop();
  }
}

export class System {
  readonly routeUrl: string;
  readonly serverPorts: { tcp: number; http: number }[];
  /** In one process with everything, `route` and `servers[0]` are the same. */
  readonly route: Part;
  readonly servers: Part[];

  private constructor(
    readonly dataDir: string,
    ports: number[],
    { env = {}, servers }: SystemOptions,
  ) {
    const [routePort, ...rest] = ports.map(String) as [string, ...string[]];
    this.routeUrl = `http://127.0.0.1:${routePort}`;
    this.serverPorts = Array.from({ length: servers ?? 1 }, (_, i) => ({
      tcp: Number(rest[2 * i]),
      http: Number(rest[2 * i + 1]),
    }));
    const common: Settings = {
      CIM_DATA: dataDir,
      CIM_ROUTE_PORT: routePort,
      CIM_ROUTE_URL: this.routeUrl,
      CIM_LOG: "warn",
      ...(servers === undefined ? {} : { CIM_SECRET: crypto.randomUUID() }),
      ...env,
    };
    const healthy = (url: string) => ({ url, status: [200] });
    const serverEnv = this.serverPorts.map(({ tcp, http }) => ({
      ...common,
      CIM_SERVER_PORT: String(tcp),
      CIM_SERVER_HTTP_PORT: String(http),
    }));
    if (servers === undefined) {
      this.route = new Part("start.ts", serverEnv[0]!, [healthy(this.serverUrl), healthy(this.routeUrl)]);
      this.servers = [this.route];
    } else {
      // A route without a server is up, and says that it cannot serve.
      this.route = new Part("route/main.ts", common, [{ url: this.routeUrl, status: [200, 503] }]);
      this.servers = serverEnv.map(
        (own, i) => new Part("server/main.ts", own, [healthy(this.serverUrlOf(i)), healthy(this.routeUrl)]),
      );
    }
  }

  /** Starts the processes and waits until they serve. */
  static async start(options: SystemOptions = {}): Promise<System> {
    const system = await System.prepare(options);
    try {
      await system.route.start();
      if (options.servers !== undefined) await Promise.all(system.servers.map((server) => server.start()));
    } catch (error) {
      await system.end();
      throw error;
    }
    return system;
  }

  /** Starts nothing yet. */
  static async prepare(options: SystemOptions = {}): Promise<System> {
    const dataDir = await mkdtemp(join(tmpdir(), "cim-test-"));
    return new System(dataDir, await freePorts(1 + 2 * (options.servers ?? 1)), options);
  }

  get serverPort(): number {
    return this.serverPorts[0]!.tcp;
  }

  get serverHttpPort(): number {
    return this.serverPorts[0]!.http;
  }

  get serverUrl(): string {
    return this.serverUrlOf(0);
  }

  serverUrlOf(index: number): string {
    return `http://127.0.0.1:${this.serverPorts[index]!.http}`;
  }

  /** Ends all processes and removes the data. */
  async end(): Promise<void> {
    await Promise.all([this.route, ...this.servers].map((part) => part.kill()));
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
