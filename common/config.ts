/**
 * Every setting there is: environment variables, each also a flag (`CIM_ROUTE_PORT` is `--route-port`). `--help`,
 * docs/configuration.md and the checks are all made from this table.
 */
import { parseZooKeeperAddress } from "./registry/zookeeper-address.ts";

interface Variable<T> {
  meaning: string;
  /** As it would be written; "" for a setting that may be absent. */
  default: string;
  /** What a value must be, in words: part of the error. */
  want: string;
  /** The value; undefined when it is not one. */
  parse(text: string): T | undefined;
  /** Never shown. */
  secret?: boolean;
}

const SECOND_MS = 1000;
const DAY_MS = 24 * 60 * 60 * SECOND_MS;
const MIN_SECRET_LENGTH = 16;

export const VARIABLES = {
  CIM_HOST: text("address to listen on", "127.0.0.1"),
  CIM_ADVERTISE: optional(
    "host name or IPv4 address under which clients and routes reach this server; found out when not set",
  ),
  CIM_ROUTE_PORT: port("port of the route's HTTP API", 8083),
  CIM_SERVER_PORT: port("port of the server for clients (TCP)", 11211),
  CIM_SERVER_HTTP_PORT: port("port of the server for routes (HTTP)", 8081),
  CIM_WEBSOCKET_URL: webSocket(
    "where clients reach this server's WebSocket through a proxy: a URL, or a path on the host they reach the route by; {host} and {port} in it stand for the server's own address and HTTP port",
  ),
  CIM_ROUTE_URL: url("where servers and clients find the route", "http://127.0.0.1:8083"),
  CIM_DATA: text("directory of the embedded engines and of the generated secret", "./data"),
  CIM_STORE: store("what keeps accounts, sessions and messages", ""),
  CIM_REGISTRY: registry("who knows which servers are alive", "route"),
  CIM_AUTH: oneOf("whether logins need a password, or CIM v2 peers (which send none) are served", [
    "password",
    "open",
  ]),
  CIM_SECRET: secret(
    "what servers and routes prove themselves with, and sign tokens with; made in CIM_DATA when not set",
  ),
  CIM_ADMIN_KEY: secret("API key with which backends push to any user"),
  CIM_LOGIN_POLICY: oneOf(
    "a second login of an account: refuse it, let it replace the first, or allow one session per device",
    ["reject", "kick", "multi"],
  ),
  CIM_PICK: oneOf("how a login is given a server", [
    "round-robin",
    "random",
    "consistent-hash",
    "least-connections",
  ]),
  CIM_HEARTBEAT_SECONDS: times(
    SECOND_MS,
    integer(
      "seconds of silence after which a client pings; two and a half of them end a connection",
      60,
      1,
      3600,
    ),
  ),
  CIM_LEASE_SECONDS: times(
    SECOND_MS,
    integer("seconds a server counts as alive after its last sign of life", 10, 1, 600),
  ),
  CIM_RETENTION_DAYS: times(DAY_MS, integer("days a message is kept", 7, 1, 3650)),
  CIM_TOKEN_DAYS: times(
    DAY_MS,
    integer(
      "days a session's token is good for; every reconnect to another server makes a new one",
      7,
      1,
      365,
    ),
  ),
  CIM_DOWNLOADS: optional(
    "directory with the compiled clients that the route offers at /download; when not set: dist of the sources, or where the compiled program lies",
  ),
  CIM_TLS_CERT: optional("PEM file with the certificate chain; every listener then speaks TLS"),
  CIM_TLS_KEY: optional("PEM file with the certificate's private key"),
  CIM_ALLOW_ORIGINS: origins(
    "web pages elsewhere that may use this route, with the SDK in them; a server's WebSocket takes whoever has a token, which only the route gives",
  ),
  CIM_TRUSTED_PROXIES: integer(
    "reverse proxies before the route whose X-Forwarded-For, -Proto, -Host and -Prefix are believed",
    0,
    0,
    10,
  ),
  CIM_MAX_BODY_BYTES: integer(
    "largest HTTP body a client may send, bytes",
    1024 * 1024,
    1024,
    64 * 1024 * 1024,
  ),
  CIM_MAX_UNSENT_BYTES: integer(
    "bytes that may wait for one connection before it counts as slow",
    1024 * 1024,
    128 * 1024,
    64 * 1024 * 1024,
  ),
  CIM_MAX_CONNECTIONS_PER_ADDRESS: integer(
    "connections one client address may have to one server, loopback left out",
    1000,
    1,
    1_000_000,
  ),
  CIM_MAX_MESSAGES_PER_SECOND: integer("messages one user may send in a second", 100, 1, 1_000_000),
  CIM_MAX_FAILED_LOGINS: integer(
    "wrong passwords in five minutes before an account is answered 6000; ten times that for one address",
    10,
    1,
    10_000,
  ),
  CIM_WORKERS: integer(
    "processes that a server, or a route on a shared store and registry, runs as, one for each core; worker 1, 2, … of a server listens on the given ports, the next ones, and so on",
    1,
    1,
    256,
  ),
  CIM_LOG: oneOf("how much is logged", ["info", "trace", "debug", "warn", "error", "silent"]),
} as const satisfies Record<string, Variable<unknown>>;

export type VariableName = keyof typeof VARIABLES;

type Camel<S extends string> = S extends `${infer A}_${infer B}`
  ? `${Lowercase<A>}${Capitalize<Camel<B>>}`
  : Lowercase<S>;
type ConfigKey<N extends string> = N extends `CIM_${infer Rest}`
  ? Rest extends `${infer Base}_SECONDS` | `${infer Base}_DAYS`
    ? `${Camel<Base>}Ms`
    : Camel<Rest>
  : never;

/** The settings by name: CIM_ROUTE_PORT is `routePort`; durations are in milliseconds (CIM_LEASE_SECONDS is `leaseMs`). */
export type Config = {
  [N in VariableName as ConfigKey<N>]: NonNullable<ReturnType<(typeof VARIABLES)[N]["parse"]>>;
};

/** A setting that cannot be used: one line that names it, its value and what was wanted. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/**
 * Reads all settings; what is not set has its default.
 * @throws ConfigError for the first value that cannot be used
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const config: Record<string, unknown> = {};
  for (const [name, variable] of Object.entries(VARIABLES) as [VariableName, Variable<unknown>][]) {
    const given = env[name] || variable.default;
    const value = variable.parse(given);
    if (value === undefined) {
      const shown = variable.secret ? `(${given.length} characters)` : withoutPassword(given);
      throw new ConfigError(`${name}=${shown}: want ${variable.want}`);
    }
    config[configKey(name)] = value;
  }
  const result = config as Config;
  if ((result.tlsCert === "") !== (result.tlsKey === "")) {
    throw new ConfigError("CIM_TLS_CERT and CIM_TLS_KEY: want both or neither");
  }
  return result;
}

/** `--route-port` for CIM_ROUTE_PORT. */
export function flagOf(name: VariableName): string {
  return `--${name.slice("CIM_".length).toLowerCase().replaceAll("_", "-")}`;
}

/** A URL's user and password are not for logs. */
function withoutPassword(given: string): string {
  return given.replace(/(:\/\/)[^/]*@/, "$1…@");
}

function configKey(name: string): string {
  const base = name
    .slice("CIM_".length)
    .replace(/_(SECONDS|DAYS)$/, "_MS")
    .toLowerCase();
  return base.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function text(meaning: string, value: string): Variable<string> {
  return { meaning, default: value, want: "a text", parse: (given) => given || undefined };
}

function optional(meaning: string): Variable<string> {
  return { meaning, default: "", want: "a text", parse: (given) => given };
}

function secret(meaning: string): Variable<string> {
  return {
    meaning,
    default: "",
    want: `at least ${MIN_SECRET_LENGTH} characters without spaces`,
    secret: true,
    parse: (given) =>
      given === "" || (given.length >= MIN_SECRET_LENGTH && !/\s/.test(given)) ? given : undefined,
  };
}

function integer(meaning: string, value: number, min: number, max: number): Variable<number> {
  return {
    meaning,
    default: String(value),
    want: `a whole number from ${min} to ${max}`,
    parse: (given) => (/^\d{1,15}$/.test(given) && +given >= min && +given <= max ? +given : undefined),
  };
}

function port(meaning: string, value: number): Variable<number> {
  return integer(`${meaning}; 0 takes a free one`, value, 0, 65535);
}

function times(factor: number, variable: Variable<number>): Variable<number> {
  return {
    ...variable,
    parse: (given) => {
      const value = variable.parse(given);
      return value === undefined ? undefined : value * factor;
    },
  };
}

function oneOf<const T extends string>(meaning: string, values: readonly [T, ...T[]]): Variable<T> {
  return {
    meaning,
    default: values[0],
    want: values.join(" or "),
    parse: (given) => values.find((value) => value === given),
  };
}

function url(meaning: string, value: string): Variable<string> {
  return {
    meaning,
    default: value,
    want: "an http:// or https:// URL",
    parse: (given) => {
      const parsed = URL.parse(given);
      return parsed && /^https?:$/.test(parsed.protocol) ? given.replace(/\/+$/, "") : undefined;
    },
  };
}

function origins(meaning: string): Variable<readonly string[]> {
  const isOrigin = (given: string) => /^https?:/.test(given) && URL.parse(given)?.origin === given;
  return {
    meaning,
    default: "",
    want: "origins as in https://app.example:8443, with commas between them, or * for all",
    parse(given) {
      const list = given === "" ? [] : given.split(",").map((one) => one.trim());
      return given === "*" || list.every(isOrigin) ? list : undefined;
    },
  };
}

function webSocket(meaning: string): Variable<string> {
  const isUrl = (given: string) => {
    const parsed = URL.parse(given.replace("{host}", "host").replace("{port}", "1"));
    return parsed !== null && /^wss?:$/.test(parsed.protocol) && parsed.hash === "";
  };
  return {
    meaning,
    default: "",
    want: "a wss:// or ws:// URL, or a path that begins with a single /",
    parse: (given) => (given === "" || /^\/(?!\/)/.test(given) || isUrl(given) ? given : undefined),
  };
}

function store(meaning: string, value: string): Variable<string> {
  const redis =
    "redis://<host>:<port>, redis+sentinel://<host>:<port>,…/<master> or redis+cluster://<host>:<port>,…";
  return {
    meaning: `${meaning}: sqlite:<file> (when not set: cim.db in CIM_DATA), memory:, or Redis with [<user>:<password>@] before its hosts, rediss for TLS`,
    default: value,
    want: `sqlite:<file>, memory:, ${redis}`,
    parse: (given) =>
      given === "" || given === "memory:" || /^(sqlite:.+|rediss?(\+(sentinel|cluster))?:\/\/.+)$/.test(given)
        ? given
        : undefined,
  };
}

function registry(meaning: string, value: string): Variable<string> {
  const want = "route or zookeeper://<host>:<port>,<host>:<port>/<chroot>";
  return {
    meaning: `${meaning}: route (the route itself) or ZooKeeper, under whose chroot (none when not given) /cim lies`,
    default: value,
    want,
    parse: (given) => (given === "route" || parseZooKeeperAddress(given) ? given : undefined),
  };
}
