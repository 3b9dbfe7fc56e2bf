/** CIM as it runs: a route, servers, and what keeps their data, each a process of its own. */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { freePort, Processes } from "./processes.ts";
import { BenchError } from "./scenario.ts";

export type Store = "sqlite" | "redis";

export interface SystemOptions {
  store: Store;
  /** Compiled programs instead of the sources. */
  binary?: boolean;
  /** Directory for a processor profile of each process; "": none are made. A profiled process is slower. */
  profile?: string;
  /** Processes of cim-server. Default 1. */
  servers?: number;
  /** Workers of each (CIM_WORKERS). Default 1. */
  workers?: number;
  /** Further settings of all of them (docs/configuration.md). */
  settings?: Record<string, string | number>;
}

/**
 * Passwords would make the logins take minutes, so it runs without; every client has a token all the same, and
 * everything that checks one does. Nobody's rate is limited.
 */
const SETTINGS = {
  CIM_AUTH: "open",
  CIM_LOG: "warn",
  CIM_MAX_MESSAGES_PER_SECOND: 1_000_000,
  // As `bun run` and the image set it.
  MIMALLOC_PURGE_DELAY: 60_000,
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL: 1000,
};

export class System {
  private constructor(
    readonly processes: Processes,
    readonly routeUrl: string,
    /** By part: route, server (server 2, … when there are several; of workers each, not who looks after them), redis. */
    readonly pids: Record<string, number>,
    readonly redisUrl: string | null,
  ) {}

  static async start(options: SystemOptions): Promise<System> {
    const { store, servers = 1, workers = 1, settings = {} } = options;
    const processes = new Processes();
    try {
      const redis = store === "redis" ? await processes.startRedis() : null;
      const port = await freePort();
      const routeUrl = `http://127.0.0.1:${port}`;
      const common = {
        ...SETTINGS,
        CIM_DATA: processes.data,
        CIM_SECRET: randomBytes(16).toString("hex"),
        CIM_ROUTE_PORT: port,
        CIM_ROUTE_URL: routeUrl,
        CIM_SERVER_PORT: 0,
        CIM_SERVER_HTTP_PORT: 0,
        ...(redis && { CIM_STORE: redis.url }),
        ...settings,
      };
      const pids: Record<string, number> = {};
      pids.route = (await processes.start(program("route", "route", options), common)).pid;
      for (let i = 1; i <= servers; i++) {
        const name = i === 1 ? "server" : `server ${i}`;
        const settings = { ...common, CIM_WORKERS: workers };
        const { pid } = await processes.start(program("server", name, options), settings);
        if (workers === 1) pids[name] = pid;
        else for (const [k, worker] of childrenOf(pid).entries()) pids[`${name}, worker ${k + 1}`] = worker;
      }
      if (redis) pids.redis = redis.pid;
      return new System(processes, routeUrl, pids, redis?.url ?? null);
    } catch (error) {
      await processes[Symbol.asyncDispose]();
      throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.processes[Symbol.asyncDispose]();
  }
}

function childrenOf(pid: number): number[] {
  const threads = readdirSync(`/proc/${pid}/task`);
  const children = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8"));
  return (children.join(" ").match(/\d+/g) ?? []).map(Number);
}

function program(role: "route" | "server", name: string, { binary, profile }: SystemOptions): string[] {
  if (!binary) return [process.execPath, ...profiling(name, profile), `${role}/main.ts`];
  const path = `dist/cim-${role}`;
  if (!existsSync(path)) throw new BenchError(`${path} is not there: bun run build makes it`);
  return [path];
}

/** What makes Bun write <name>.md and <name>.cpuprofile at its end. */
function profiling(name: string, directory = ""): string[] {
  if (directory === "") return [];
  const file = name.replace(" ", "-");
  return ["--cpu-prof", "--cpu-prof-md", `--cpu-prof-dir=${resolve(directory)}`, `--cpu-prof-name=${file}`];
}
