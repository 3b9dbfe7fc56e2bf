import { ConfigError } from "../../common/config.ts";

/** Where Redis is, as CIM_STORE says it. */
export interface RedisAddress {
  kind: "single" | "sentinel" | "cluster";
  tls: boolean;
  /** The Redis; all Sentinels; or some nodes of the Cluster, from which the others are found. */
  nodes: { host: string; port: number }[];
  /** The Sentinels' name for the master. */
  master: string;
  username: string | undefined;
  password: string | undefined;
  db: number;
  /** The address without its password, for logs and errors. */
  shown: string;
}

const FORM = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/]+)((?:\/[^/?#]*)*)$/;
const DEFAULT_PORTS = { single: 6379, sentinel: 26379, cluster: 6379 };

/**
 * Understands redis://[user:password@]host:port[/db], redis+sentinel://…host:port,host:port/master[/db] and
 * redis+cluster://…host:port,host:port; with rediss for TLS.
 * @throws ConfigError for anything else, without the password
 */
export function parseRedisUrl(url: string): RedisAddress {
  const match = FORM.exec(url);
  if (!match)
    throw wrong(
      url.replace(/\/\/[^/]*@/, "//…@"),
      "redis://host:port, redis+sentinel:// or redis+cluster://",
    );
  const [, s, kind = "single", credentials = "", hosts = "", path = ""] = match;
  const shown = `redis${s}${kind === "single" ? "" : `+${kind}`}://${hosts}${path}`;
  const [first = "", second = "", ...more] = path.split("/").slice(1);
  const [master, db] = kind === "sentinel" ? [first, second] : ["", first];
  if (more.length > 0 || (kind !== "sentinel" && second))
    throw wrong(shown, "no more after the database's number");
  if (kind === "sentinel" && !master)
    throw wrong(shown, "the master's name after the Sentinels: …:26379/mymaster");
  if (!/^\d{0,3}$/.test(db) || (kind === "cluster" && Number(db) > 0)) {
    throw wrong(
      shown,
      kind === "cluster" ? "no database: a Cluster has one" : "a database's number at the end",
    );
  }
  const [username = "", password = ""] = credentials.split(/:(.*)/s).map((text) => decode(text, shown));
  return {
    kind: kind as RedisAddress["kind"],
    tls: s === "s",
    nodes: hosts.split(",").map((host) => parseHost(host, kind as RedisAddress["kind"], shown)),
    master: decode(master, shown),
    username: username || undefined,
    password: password || undefined,
    db: Number(db),
    shown,
  };
}

function parseHost(text: string, kind: RedisAddress["kind"], shown: string): { host: string; port: number } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[2] ?? DEFAULT_PORTS[kind]);
  if (!match || port < 1 || port > 65535) throw wrong(shown, `host:port instead of ${JSON.stringify(text)}`);
  return { host: match[1]!.replace(/^\[|\]$/g, ""), port };
}

function decode(text: string, shown: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong(shown, "a user, password or name with %xx for its special characters");
  }
}

function wrong(shown: string, want: string): ConfigError {
  return new ConfigError(`CIM_STORE=${shown}: want ${want}`);
}
