/** A route and a server in this process over a real Redis, with all they ask of it, and of one another, counted. */
import { type Client, type ConnectOptions, connect } from "../../client/sdk/client.ts";
import { type Config, readConfig } from "../../common/config.ts";
import { type Fetch, Link } from "../../common/link.ts";
import { createLogger } from "../../common/logger.ts";
import { Leases, leaseRegistrar } from "../../common/registry/route.ts";
import { Tokens } from "../../common/token.ts";
import { listenRoute } from "../../route/listen.ts";
import { openRoute } from "../../route/route.ts";
import { openRedis } from "../../route/store/redis.ts";
import { openServer, type Server } from "../../server/server.ts";
import type { RedisServer } from "./redis.ts";
import { ranDuring } from "./redis-monitor.ts";

/** What an operation came to: Redis commands by their name, those inside of scripts, too; and internal calls by their path. */
export interface Cost {
  commands: Record<string, number>;
  calls: Record<string, number>;
}

/** Commands of the test itself; the operations use none of them. */
const OUR_OWN = new Set(["hscan", "zcard"]);
/** Signs of life: each server once in a while, whatever happens, and before a login if it was silent for a second. */
const ALWAYS = new Set(["/internal/announce", "/health"]);

const PASSWORD = "password1";
const ADMIN_KEY = "the-admin-key-of-this-test";

// Quick on purpose: what a hash costs is not what is looked at here.
const passwords = {
  hash: async (password: string) =>
    Bun.password.hash(password, { algorithm: "argon2id", memoryCost: 8, timeCost: 1 }),
  verify: (password: string, hash: string) => Bun.password.verify(password, hash),
};

export class Counted {
  readonly calls: string[] = [];
  readonly #closing: (() => Promise<void>)[] = [];

  private constructor(
    readonly redis: RedisServer,
    readonly config: Config,
  ) {}

  routeUrl!: string;
  server!: Server;

  static async open(redis: RedisServer): Promise<Counted> {
    const ports = { CIM_ROUTE_PORT: "0", CIM_SERVER_PORT: "0", CIM_SERVER_HTTP_PORT: "0" };
    const secrets = { CIM_SECRET: "0123456789abcdef", CIM_ADMIN_KEY: ADMIN_KEY };
    const config = readConfig({ ...ports, ...secrets, CIM_STORE: redis.url, CIM_LOG: "silent" });
    const counted = new Counted(redis, config);
    await counted.#start();
    return counted;
  }

  async #start(): Promise<void> {
    const { config, redis } = this;
    const tokens = new Tokens(config.secret);
    const log = createLogger(config.log, "test");
    const call: Fetch = (request) => {
      this.calls.push(new URL(request.url).pathname);
      return fetch(request);
    };
    const store = await openRedis(redis.url, log);
    const leases = new Leases(config.leaseMs);
    const link = new Link("route", tokens, call);
    const assets = { css: new Blob(), js: new Blob() };
    const parts = { config, store, directory: leases, leases, tokens, link, passwords, assets, log };
    const route = openRoute(parts);
    const listener = listenRoute(config, route);
    this.routeUrl = listener.url;
    const toRoute = new Link("server", tokens, call);
    const registrar = leaseRegistrar(toRoute, listener.url, log);
    const settings = { ...config, routeUrl: listener.url };
    this.server = await openServer({ config: settings, tokens, link: toRoute, registrar, log });
    this.#closing.push(
      () => this.server.close(),
      () => listener.close(),
      () => route.close(),
      () => store.close(),
    );
  }

  client(userName: string, options: Partial<ConnectOptions> = {}): Promise<Client> {
    const { routeUrl } = this;
    return connect({ routeUrl, userName, password: PASSWORD, register: true, ...options });
  }

  /** @throws Error unless the route answers 9000 */
  async post<T>(path: string, body: object): Promise<T> {
    const headers = { "content-type": "application/json", authorization: `Bearer ${ADMIN_KEY}` };
    const response = await fetch(`${this.routeUrl}${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify({ password: PASSWORD, ...body }),
    });
    const answer = (await response.json()) as { code: string; message: string; dataBody: T };
    if (answer.code !== "9000") throw new Error(`${path}: ${answer.code} ${answer.message}`);
    return answer.dataBody;
  }

  async get<T>(path: string): Promise<T> {
    const headers = { authorization: `Bearer ${ADMIN_KEY}` };
    const response = await fetch(`${this.routeUrl}${path}`, { headers });
    return ((await response.json()) as { dataBody: T }).dataBody;
  }

  /** @param operation answers once all it came to is done */
  async cost(operation: () => Promise<unknown>): Promise<Cost> {
    const before = this.calls.length;
    const ran = await ranDuring(this.redis, operation);
    return {
      commands: tally(ran.map(({ command }) => command).filter((command) => !OUR_OWN.has(command))),
      calls: tally(this.calls.slice(before).filter((path) => !ALWAYS.has(path))),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closing) await close();
  }
}

function tally(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names.sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
