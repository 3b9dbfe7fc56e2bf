/** A whole CIM as real processes with ports and a data directory of its own, to start, kill and start again. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./ports.ts";
import { RunningProcess } from "./process.ts";
import { until } from "./until.ts";

export type RoleName = "all" | "route" | "server";

const ENTRY: Record<RoleName, string> = { all: "start.ts", route: "route/main.ts", server: "server/main.ts" };
const READY_MS = 15_000;

export interface SystemOptions {
  /** Settings beyond ports, data directory and secret, for every process. */
  env?: Record<string, string>;
  /** One process for everything (the default), or route and server apart. */
  apart?: boolean;
}

export class System {
  readonly #roles = new Map<RoleName, RunningProcess>();

  private constructor(
    readonly dataDir: string,
    readonly routePort: number,
    readonly serverPort: number,
    readonly serverHttpPort: number,
    readonly env: Record<string, string>,
  ) {}

  /** Starts the processes and waits until they serve. */
  static async start({ env = {}, apart = false }: SystemOptions = {}): Promise<System> {
    const dataDir = await mkdtemp(join(tmpdir(), "cim-test-"));
    const [route, server, http] = (await freePorts(3)) as [number, number, number];
    const secret: Record<string, string> = apart ? { CIM_SECRET: crypto.randomUUID() } : {};
    const system = new System(dataDir, route, server, http, {
      CIM_DATA: dataDir,
      CIM_ROUTE_PORT: String(route),
      CIM_SERVER_PORT: String(server),
      CIM_SERVER_HTTP_PORT: String(http),
      CIM_ROUTE_URL: `http://127.0.0.1:${route}`,
      CIM_LOG: "warn",
      ...secret,
      ...env,
    });
    try {
      for (const role of apart ? (["route", "server"] as const) : (["all"] as const)) await system.run(role);
    } catch (error) {
      await system.end();
      throw error;
    }
    return system;
  }

  get routeUrl(): string {
    return `http://127.0.0.1:${this.routePort}`;
  }

  get serverUrl(): string {
    return `http://127.0.0.1:${this.serverHttpPort}`;
  }

  role(name: RoleName): RunningProcess {
    const running = this.#roles.get(name);
    if (!running) throw new Error(`no ${name} was started`);
    return running;
  }

  /** Starts one role on the same ports and data as before, and waits until it serves. */
  async run(name: RoleName, env: Record<string, string> = {}): Promise<RunningProcess> {
    const process = new RunningProcess(["bun", ENTRY[name]], { env: { ...this.env, ...env } });
    this.#roles.set(name, process);
    if (name !== "route") await this.#answers(process, this.serverUrl, [200]);
    // A route without a server is up, and says so with 503.
    await this.#answers(process, this.routeUrl, name === "route" ? [200, 503] : [200]);
    return process;
  }

  /** Ends all processes and removes the data. */
  async end(): Promise<void> {
    await Promise.all([...this.#roles.values()].map((process) => process.kill()));
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #answers(process: RunningProcess, url: string, statuses: number[]): Promise<void> {
    const answer = await until(
      `${url}/health answers ${statuses}`,
      async () => {
        if (!process.running) return "ended";
        return statuses.includes((await fetch(`${url}/health`)).status);
      },
      READY_MS,
    );
    if (answer === "ended")
      throw new Error(`${process.command.join(" ")} ended at its start:\n${process.output}`);
  }
}
