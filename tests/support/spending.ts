/** A whole CIM as real processes, its clients, and what it spends on what they do: counted, never timed. */
import { join } from "node:path";
import { cursorsKey, marksKey, sessionsKey, shardOf } from "../../route/store/redis-keys.ts";
import { Wire } from "../server/wire.ts";
import { type RedisServer, startRedis } from "./redis.ts";
import { type Ran, ranDuring } from "./redis-monitor.ts";
import { ask, writtenBy } from "./sqlite-seen.ts";
import { Syncs, straceMissing } from "./syncs.ts";
import { System } from "./system.ts";
import { until } from "./until.ts";

/** What is counted of every operation, with each engine. */
export const OF_SERVERS = [
  "uplink calls",
  "downlink calls",
  "writes",
  "bytes to clients",
  "bytes from clients",
];

export type Spent = Record<string, number>;

export interface Member {
  userId: number;
  wire: Wire;
}

const SERVERS = 2;
const ADMIN_KEY = "the-admin-key-of-this-test";
const ENV = {
  CIM_ADMIN_KEY: ADMIN_KEY,
  CIM_LOG: "silent",
  CIM_MAX_MESSAGES_PER_SECOND: "100000",
};
/** The test's own ways to ask Redis whether an operation is done; the product uses none of them. */
const OUR_OWN = new Set(["hscan", "zcard"]);

/** What is one engine's: where it looks, and what it counts. */
interface Engine {
  /** Resolves when nothing of the conversation is left to be done. */
  settled(conversation: string): Promise<unknown>;
  /** Resolves when the session's connection is known. */
  confirmed(userId: number): Promise<unknown>;
  acknowledged(userId: number, conversation: string, seq: number): Promise<unknown>;
  during(operation: () => Promise<unknown>): Promise<Spent>;
}

export class Spending implements AsyncDisposable {
  readonly #parts = new AsyncDisposableStack();
  readonly #wires: Wire[] = [];

  private constructor(
    readonly system: System,
    readonly engine: Engine,
  ) {}

  static async redis(): Promise<Spending> {
    await using parts = new AsyncDisposableStack();
    const redis = parts.use(await startRedis());
    const system = parts.use(await System.start({ servers: SERVERS, env: { ...ENV, CIM_STORE: redis.url } }));
    return Spending.#of(system, redisEngine(redis), parts);
  }

  static async sqlite(): Promise<Spending> {
    await using parts = new AsyncDisposableStack();
    const system = parts.use(await System.start({ servers: SERVERS, env: ENV }));
    const syncs = straceMissing ? null : parts.use(await Syncs.of(system.route.process.pid));
    return Spending.#of(system, sqliteEngine(join(system.dataDir, "cim.db"), syncs), parts);
  }

  static #of(system: System, engine: Engine, parts: AsyncDisposableStack): Spending {
    const spending = new Spending(system, engine);
    spending.#parts.use(parts.move());
    return spending;
  }

  /** Connections that are logged in. */
  get online(): number {
    return this.#wires.length;
  }

  async register(userName: string): Promise<number> {
    return (await this.post<{ userId: number }>("/registerAccount", { userName })).userId;
  }

  /** Logs in, connects, and asks for what it missed, as a client does. */
  async login(userName: string): Promise<Member> {
    const { userId, token, cimServerPort } = await this.post<{
      userId: number;
      token: string;
      cimServerPort: number;
    }>("/login", { userName });
    const wire = await Wire.connect(cimServerPort);
    this.#wires.push(wire);
    wire.login(token);
    await wire.body("welcome");
    wire.control({ case: "sync", value: {} });
    await wire.pages();
    await this.engine.confirmed(userId);
    return { userId, wire };
  }

  async join(userName: string): Promise<Member> {
    await this.register(userName);
    return this.login(userName);
  }

  /** @throws Error unless the route answers 9000 */
  async post<T>(path: string, body: object): Promise<T> {
    const headers = { "content-type": "application/json", authorization: `Bearer ${ADMIN_KEY}` };
    const response = await fetch(`${this.system.routeUrl}${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as { code: string; message: string; dataBody: T };
    if (answer.code !== "9000") throw new Error(`${path}: ${answer.code} ${answer.message}`);
    return answer.dataBody;
  }

  /** @param operation answers once all it came to is done */
  async on(operation: () => Promise<unknown>): Promise<Spent> {
    const before = await this.#servers();
    const spent = await this.engine.during(operation);
    const after = await this.#servers();
    return {
      ...spent,
      ...Object.fromEntries(OF_SERVERS.map((name) => [name, after[name]! - before[name]!])),
    };
  }

  /** The sum over all servers of what they say themselves. */
  async #servers(): Promise<Spent> {
    const sum: Spent = {};
    const pages = this.system.servers.map(async (_, i) =>
      (await fetch(`${this.system.serverUrlOf(i)}/metrics`)).text(),
    );
    for (const page of await Promise.all(pages)) {
      for (const [name, metric] of Object.entries(METRICS)) {
        const value = new RegExp(`^${metric} (\\d+)$`, "m").exec(page)?.[1];
        if (value === undefined) throw new Error(`no ${metric} among a server's metrics`);
        sum[name] = (sum[name] ?? 0) + Number(value);
      }
    }
    return sum;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const wire of this.#wires) wire.drop();
    await this.#parts[Symbol.asyncDispose]();
  }
}

const METRICS: Record<string, string> = {
  "uplink calls": "cim_uplink_calls_total",
  "downlink calls": "cim_downlink_calls_total",
  writes: "cim_writes_total",
  "bytes to clients": "cim_sent_bytes_total",
  "bytes from clients": "cim_received_bytes_total",
};

function redisEngine(redis: RedisServer): Engine {
  return {
    settled: (conversation) =>
      until("no mark is left", async () => (await redis.ask("ZCARD", marksKey(shardOf(conversation)))) === 0),
    confirmed: (userId) =>
      until(`the session of user ${userId} is confirmed`, async () => {
        const [, fields] = (await redis.ask("HSCAN", sessionsKey(userId), 0)) as [string, string[]];
        return (JSON.parse(fields[1] ?? "{}") as { confirmed?: boolean }).confirmed;
      }),
    acknowledged: (userId, conversation, seq) =>
      until(`user ${userId} has acknowledged ${seq} of ${conversation}`, async () => {
        const [, fields] = (await redis.ask("HSCAN", cursorsKey(userId), 0)) as [string, string[]];
        return fields[fields.indexOf(`${conversation} `) + 1] === String(seq);
      }),
    async during(operation) {
      const ran = (await ranDuring(redis, operation)).filter(({ command }) => !OUR_OWN.has(command));
      const appends = scriptsOf(ran).filter((commands) => commands.includes("rpush"));
      return {
        "Redis commands": ran.length,
        appends: appends.length,
        "commands of the largest append": Math.max(0, ...appends.map((commands) => commands.length)),
      };
    },
  };
}

/** The commands of each script that ran. */
function scriptsOf(ran: readonly Ran[]): string[][] {
  const scripts: string[][] = [];
  for (const { command, inScript } of ran) {
    if (inScript) scripts.at(-1)!.push(command);
    else scripts.push([]);
  }
  return scripts;
}

function sqliteEngine(file: string, syncs: Syncs | null): Engine {
  const found = async (what: string, sql: string, ...values: (string | number)[]) =>
    until(what, async () => (await ask(file, sql, ...values)).length > 0);
  const count = async () => ({ ...(await writtenBy(file)), syncs: (await syncs?.count()) ?? 0 });
  return {
    settled: () =>
      found(
        "the journal is empty",
        "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM journal) AND NOT EXISTS (SELECT 1 FROM marks)",
      ),
    confirmed: (userId) =>
      found(
        `the session of user ${userId} is confirmed`,
        "SELECT 1 FROM sessions WHERE user_id = ? AND confirmed = 1",
        userId,
      ),
    acknowledged: (userId, conversation, seq) =>
      found(
        `user ${userId} has acknowledged ${seq} of ${conversation}`,
        `SELECT 1 FROM cursors k JOIN conversations c ON c.id = k.conversation
         WHERE k.user_id = ? AND c.name = ? AND k.seq = ? AND k.slot = ''`,
        userId,
        conversation,
        seq,
      ),
    async during(operation) {
      const before = await count();
      await operation();
      const after = await count();
      return {
        transactions: after.transactions - before.transactions,
        "pages written": after.pages - before.pages,
        "journal rows": after.journalRows - before.journalRows,
        syncs: after.syncs - before.syncs,
      };
    },
  };
}
