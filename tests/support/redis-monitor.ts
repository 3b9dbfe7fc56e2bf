/** What a Redis runs, in its order, with what scripts run told apart. */
import { Redis } from "ioredis";
import type { RedisServer } from "./redis.ts";
import { until } from "./until.ts";

export interface Ran {
  /** In lower case. */
  command: string;
  args: string[];
  /** By a script: the last evalsha before it. */
  inScript: boolean;
}

/** What connecting brings, and the mark that ends a count. */
const NOBODYS = new Set(["hello", "client", "info", "echo"]);
/**
 * Each second a route looks into every shard for what is not pushed, and each minute for what is too old. That belongs to
 * no operation, and a machine may be so slow that no operation fits in between: so it is known by what it asks for.
 */
const isBackground = ({ command, args }: Ran) =>
  command === "zrangebyscore" && /^cim:(marks|oldest|readers):/.test(args[0] ?? "");

/** What Redis ran while `operation` did, which answers once all it came to is done. */
export async function ranDuring(redis: RedisServer, operation: () => Promise<unknown>): Promise<Ran[]> {
  const client = new Redis({ host: "127.0.0.1", port: redis.port, lazyConnect: true, retryStrategy: null });
  await client.connect();
  const monitor = await client.monitor();
  try {
    const ran: Ran[] = [];
    monitor.on("monitor", (_time: string, [command = "", ...args]: string[], source: string) => {
      ran.push({ command: command.toLowerCase(), args, inScript: source === "lua" });
    });
    await operation();
    // Told in the order in which it ran: with the mark, all before it has been told.
    const mark = crypto.randomUUID();
    await client.echo(mark);
    await until("Redis has told all that it ran", () =>
      ran.some(({ command, args }) => command === "echo" && args[0] === mark),
    );
    return ran.filter((one) => !NOBODYS.has(one.command) && !isBackground(one));
  } finally {
    monitor.disconnect();
    client.disconnect();
  }
}
