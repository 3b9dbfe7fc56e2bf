/** A whole route in this process: the real app over a real store, called without a port. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Config, readConfig } from "../../common/config.ts";
import { Link } from "../../common/link.ts";
import type { ServerInstance } from "../../common/registry/registry.ts";
import { addressOf } from "../../common/registry/registry.ts";
import { Leases } from "../../common/registry/route.ts";
import { type SessionToken, Tokens } from "../../common/token.ts";
import {
  DownlinkReplySchema,
  DownlinkSchema,
  UplinkReplySchema,
  UplinkSchema,
} from "../../proto/gen/link_pb.ts";
import type { Assets } from "../../route/docs.ts";
import type { Passwords } from "../../route/passwords.ts";
import { openRoute, type Route } from "../../route/route.ts";
import { openSqlite } from "../../route/store/sqlite.ts";
import type { Store } from "../../route/store/store.ts";

export const SECRET = "the secret of this test";
export const ADMIN_KEY = "the-admin-key-of-this-test";
export const PASSWORD = "correct horse";

/** argon2id, at the least that it can cost. */
export const quickPasswords: Passwords = {
  hash: (password) => Bun.password.hash(password, { algorithm: "argon2id", memoryCost: 8, timeCost: 1 }),
  verify: (password, hash) => Bun.password.verify(password, hash),
};

const NO_ASSETS: Assets = { css: new Blob(["css"]), js: new Blob(["js"]) };

export interface Envelope<T = unknown> {
  code: string;
  message: string;
  reqNo: string | null;
  dataBody: T;
}

export interface Account {
  userId: number;
  userName: string;
}

export interface LoggedIn extends Account {
  ip: string;
  cimServerPort: number;
  httpPort: number;
  sessionId: string;
  token: string;
  expiresAt: number;
  tls: boolean;
  webSocketUrl: string;
}

interface CallOptions {
  token?: string;
  headers?: Record<string, string>;
  /** The address it comes from. Default: not known. */
  from?: string;
}

/** A server as the route sees it: it takes what it is pushed, unless it is told to be `silent` or `broken`. */
export interface FakeServer {
  instance: ServerInstance;
  /** `broken` refuses connections, `silent` takes them and never answers. */
  state: "up" | "broken" | "silent";
  probes: number;
  pushes: number;
}

export class OpenRoute {
  readonly servers: FakeServer[] = [];
  readonly logged: object[] = [];
  readonly tokens = new Tokens(SECRET);
  readonly leases: Leases;
  readonly config: Config;
  readonly route: Route;

  private constructor(
    env: Record<string, string>,
    readonly store: Store,
    passwords: Passwords,
    assets: Assets,
  ) {
    this.config = readConfig({ CIM_ADMIN_KEY: ADMIN_KEY, ...env });
    this.leases = new Leases(this.config.leaseMs);
    const log = (fields: object) => void this.logged.push(fields);
    this.route = openRoute({
      config: this.config,
      store,
      directory: this.leases,
      leases: this.leases,
      tokens: this.tokens,
      link: new Link("route", this.tokens, (request) => this.#serve(request)),
      passwords,
      assets,
      log: { debug() {}, info() {}, warn: log, error: log },
    });
  }

  static async start(
    env: Record<string, string> = {},
    { servers = 1, passwords = quickPasswords, assets = NO_ASSETS } = {},
  ): Promise<OpenRoute> {
    const open = new OpenRoute(env, await openSqlite(":memory:"), passwords, assets);
    for (let i = 1; i <= servers; i++) open.addServer(i);
    return open;
  }

  addServer(n: number, given: Partial<ServerInstance> = {}): FakeServer {
    const instance: ServerInstance = {
      host: `10.0.0.${n}`,
      port: 11211,
      httpPort: 8081,
      bootId: `boot-${n}`,
      tls: false,
      version: "1",
      connections: 0,
      full: false,
      ...given,
    };
    const server: FakeServer = { instance, state: "up", probes: 0, pushes: 0 };
    this.servers.push(server);
    this.leases.announce(instance);
    return server;
  }

  async post<T = unknown>(path: string, body: unknown, options: CallOptions = {}): Promise<Envelope<T>> {
    const headers = { "content-type": "application/json", ...options.headers };
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return (await this.fetch(path, { method: "POST", body: text, ...options, headers })).json();
  }

  async get<T = unknown>(path: string, options: CallOptions = {}): Promise<Envelope<T>> {
    return (await this.fetch(path, options)).json();
  }

  fetch(
    path: string,
    { token, headers, from, ...init }: CallOptions & Omit<RequestInit, "headers"> = {},
  ): Promise<Response> {
    const authorization: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
    const request = new Request(`http://route${path}`, {
      ...init,
      headers: { ...authorization, ...headers },
    });
    return this.route.fetch(request, from === undefined ? undefined : { address: from });
  }

  async register(userName: string, password: string | null = PASSWORD): Promise<Account> {
    const body = password === null ? { userName } : { userName, password };
    return (await this.post<Account>("/registerAccount", body)).dataBody;
  }

  /** Registers and logs in, without a connection yet. */
  async login(userName: string, device?: string): Promise<LoggedIn> {
    await this.register(userName);
    const answer = await this.post<LoggedIn>("/login", { userName, password: PASSWORD, device });
    if (answer.code !== "9000") throw new Error(`login of ${userName}: ${answer.code} ${answer.message}`);
    return answer.dataBody;
  }

  /** Registers, logs in, and has the server say that the connection is there. */
  async online(userName: string, device?: string): Promise<LoggedIn> {
    const user = await this.login(userName, device);
    await this.uplink(user.token, { case: "confirm", value: {} });
    return user;
  }

  /** What the server of this session hands on from its client. */
  async uplink(
    token: string,
    body: NonNullable<
      NonNullable<Parameters<typeof create<typeof UplinkSchema>>[1]>["items"]
    >[number]["body"],
  ) {
    const session: SessionToken = await this.tokens.check(token, "session");
    const { instance } = this.servers.find((server) => server.instance.bootId === session.bootId)!;
    const { userName, sessionId, device } = session;
    const uplink = create(UplinkSchema, {
      server: addressOf(instance),
      bootId: instance.bootId,
      items: [{ userId: BigInt(session.userId), userName, sessionId, device, body }],
    });
    const link = new Link("server", this.tokens, (request) => this.route.fetch(request));
    const reply = await link.post("http://route/internal/uplink", toBinary(UplinkSchema, uplink));
    return fromBinary(UplinkReplySchema, reply).results[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.route.close();
    await this.leases.close();
    await this.store.close();
  }

  async #serve(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const server = this.servers.findLast(
      ({ instance }) => instance.host === url.hostname && String(instance.httpPort) === url.port,
    );
    if (!server) throw new Error(`nobody listens at ${url.host}`);
    if (url.pathname === "/health") server.probes++;
    if (server.state === "broken") throw new Error(`${url.host} refuses`);
    if (server.state === "silent") {
      return new Promise((_, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
      });
    }
    if (url.pathname === "/health") return Response.json({ status: "ok" });
    const { items } = fromBinary(DownlinkSchema, new Uint8Array(await request.arrayBuffer()));
    server.pushes += items.length;
    return new Response(toBinary(DownlinkReplySchema, create(DownlinkReplySchema, { taken: items.length })));
  }
}
