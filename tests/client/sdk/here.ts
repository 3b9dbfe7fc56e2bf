/** A route and a server in this process, on free ports and in memory. */
import { type Client, type ConnectOptions, connect } from "../../../client/sdk/client.ts";
import { type Config, readConfig } from "../../../common/config.ts";
import { Link } from "../../../common/link.ts";
import { createLogger } from "../../../common/logger.ts";
import { Leases, leaseRegistrar } from "../../../common/registry/route.ts";
import { Tokens } from "../../../common/token.ts";
import { assets } from "../../../route/docs-assets.ts";
import { listenRoute } from "../../../route/listen.ts";
import { openRoute } from "../../../route/route.ts";
import { openSqlite } from "../../../route/store/sqlite.ts";
import { openServer, type Server } from "../../../server/server.ts";

// Quick on purpose: what a hash costs is not what is looked at here.
const passwords = {
  hash: async (password: string) =>
    Bun.password.hash(password, { algorithm: "argon2id", memoryCost: 8, timeCost: 1 }),
  verify: (password: string, hash: string) => Bun.password.verify(password, hash),
};

export class Here {
  readonly #closing: (() => Promise<void>)[] = [];

  private constructor(
    readonly config: Config,
    readonly tokens: Tokens,
  ) {}

  static async open(env: Record<string, string> = {}): Promise<Here> {
    const ports = { CIM_ROUTE_PORT: "0", CIM_SERVER_PORT: "0", CIM_SERVER_HTTP_PORT: "0" };
    const config = readConfig({ ...ports, CIM_SECRET: "0123456789abcdef", CIM_LOG: "silent", ...env });
    const here = new Here(config, new Tokens(config.secret));
    await here.#openRoute();
    return here;
  }

  async #openRoute(): Promise<void> {
    const { config, tokens } = this;
    const log = createLogger(config.log, "route");
    const store = await openSqlite(":memory:");
    const leases = new Leases(config.leaseMs);
    const link = new Link("route", tokens);
    const route = openRoute({
      config,
      store,
      directory: leases,
      leases,
      tokens,
      link,
      passwords,
      assets,
      log,
    });
    const listener = listenRoute(config, route);
    config.routeUrl = listener.url;
    this.#closing.push(async () => {
      await listener.close();
      await route.close();
      await store.close();
    });
  }

  /** One more server; the ports of an earlier one may be taken again. */
  async server(at: { port?: number; httpPort?: number } = {}): Promise<Server> {
    const { tokens } = this;
    const config = { ...this.config, serverPort: at.port ?? 0, serverHttpPort: at.httpPort ?? 0 };
    const log = createLogger(config.log, "server");
    const link = new Link("server", tokens);
    const registrar = leaseRegistrar(link, config.routeUrl, log);
    const server = await openServer({ config, tokens, link, registrar, log });
    this.#closing.unshift(() => server.close());
    return server;
  }

  client(userName: string, options: Partial<ConnectOptions> = {}): Promise<Client> {
    const { routeUrl } = this.config;
    return connect({
      routeUrl,
      userName,
      password: "password1",
      register: true,
      backoff: () => 5,
      ...options,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closing) await close();
  }
}

/** The next so many messages, as texts; an iterator of its own each time, as a program would that comes back. */
export async function read(client: Client, count: number): Promise<string[]> {
  const texts: string[] = [];
  if (count === 0) return texts;
  for await (const message of client.messages) {
    texts.push(message.text ?? `${message.data?.length} bytes`);
    if (texts.length === count) break;
  }
  return texts;
}
