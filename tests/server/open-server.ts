/** A real server on free ports with a route's end to talk to. */
import { type Config, readConfig } from "../../common/config.ts";
import { Link } from "../../common/link.ts";
import type { Logger } from "../../common/logger.ts";
import type { Registrar, ServerInstance } from "../../common/registry/registry.ts";
import { type SessionToken, Tokens } from "../../common/token.ts";
import { openServer, type Server } from "../../server/server.ts";
import { FarRoute } from "./far-route.ts";
import { Wire } from "./wire.ts";

const SECRET = "a-secret-for-tests-alone";
const HOUR_MS = 60 * 60 * 1000;

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** A registry that only notes what it is told. */
export class NotedRegistrar implements Registrar {
  announced = false;
  left = false;
  problem: string | null = null;
  /** To be called as when the registry had given the server up. */
  returned = () => {};

  async announce(_: () => ServerInstance, returned: () => void): Promise<void> {
    this.announced = true;
    this.returned = returned;
  }

  trouble(): string | null {
    return this.problem;
  }

  async leave(): Promise<void> {
    this.left = true;
  }
}

export interface OpenServer extends AsyncDisposable {
  server: Server;
  route: FarRoute;
  registrar: NotedRegistrar;
  tokens: Tokens;
  port: number;
  httpPort: number;
  httpUrl: string;
  token(session?: Partial<SessionToken>): Promise<string>;
  connect(options?: { tls?: boolean }): Promise<Wire>;
  /** Connects and logs in; resolves when welcome. */
  client(session?: Partial<SessionToken>): Promise<Wire>;
  /** A CIM v2 client, logged in. */
  v2(userId: number, userName?: string): Promise<Wire>;
}

export async function openTestServer(env: Record<string, string> = {}, log = silent): Promise<OpenServer> {
  const tokens = new Tokens(SECRET);
  const route = new FarRoute(tokens);
  const registrar = new NotedRegistrar();
  const config: Config = readConfig({
    CIM_SERVER_PORT: "0",
    CIM_SERVER_HTTP_PORT: "0",
    CIM_ROUTE_URL: route.url,
    CIM_SECRET: SECRET,
    ...env,
  });
  const server = await openServer({ config, tokens, link: new Link("server", tokens), registrar, log });
  const { port, httpPort, bootId } = server.instance();
  const token = (session: Partial<SessionToken> = {}) => {
    const now = Date.now();
    const userId = session.userId ?? 2;
    return tokens.sign({
      kind: "session",
      userId,
      userName: `user ${userId}`,
      sessionId: `session-${userId}`,
      device: "",
      bootId,
      issuedAt: now,
      expiresAt: now + HOUR_MS,
      ...session,
    });
  };
  const connect = (options: { tls?: boolean } = {}) => Wire.connect(port, options);
  return {
    server,
    route,
    registrar,
    tokens,
    port,
    httpPort,
    httpUrl: `${config.tlsCert ? "https" : "http"}://127.0.0.1:${httpPort}`,
    token,
    connect,
    async client(session) {
      const wire = await connect();
      wire.login(await token(session));
      await wire.body("welcome");
      return wire;
    },
    async v2(userId, userName = `user ${userId}`) {
      const wire = await connect();
      wire.frame({ requestId: BigInt(userId), text: userName });
      await wire.ping();
      return wire;
    },
    async [Symbol.asyncDispose]() {
      await server.close();
      await route.go();
    },
  };
}
