/** Runs the load generator (native/load.c) against a system, and says what it saw and what each part spent meanwhile. */
import { RedisClient } from "bun";
import { type Account, logIn } from "./accounts.ts";
import { compile } from "./native.ts";
import { Meter, type Processor } from "./processes.ts";
import { BenchError } from "./scenario.ts";
import type { System } from "./system.ts";

export interface Load {
  /** Connected; two that follow one another are a pair. */
  clients: number;
  /** Of them, the first so many chat. Default: all. */
  active?: number;
  /** Messages in one Send at most; without a rate, each client sends so many as soon as the last ones have receipts. */
  window: number;
  /** Messages offered in a second, evenly spaced, over all clients; 0: as many as get through. */
  rate?: number;
  textBytes: number;
  warmUpSeconds: number;
  seconds: number;
  /** Sends by POST /p2pRoute, one request at a time for each client, instead of over the connection. */
  http?: boolean;
}

interface Times {
  count: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** What the load generator says at its end. Counts of what went wrong are over the whole run, warm-up included. */
export interface Observed {
  seconds: number;
  processorSeconds: number;
  accepted: number;
  delivered: number;
  refused: number;
  /** Offered, and not even queued. */
  unsent: number;
  /** When the measurement ended. */
  backlog: number;
  /** Accepted and never delivered. */
  lost: number;
  /** Pushed once more, as after a refusal of what was stored all the same: a client drops those. */
  duplicates: number;
  disordered: number;
  /** Conversations that ended with one. */
  holes: number;
  /** How often a server said that it left pushes out, and messages read from the log for that. */
  lagging: number;
  readOn: number;
  receipt: Times;
  delivery: Times;
}

export interface Driven {
  observed: Observed;
  /** By part, the load generator among them. */
  spent: Record<string, Processor>;
  /** The part of all cores that nobody used. */
  idlePart: number;
  redisCommands?: number;
  remarks: string[];
}

/** What is loaded: CIM, or a program that does the same. */
export interface Target {
  pids: Record<string, number>;
  /** Hands on `count` accounts as they are logged in. */
  logIn(count: number, take: (accounts: Account[]) => void): Promise<void>;
  http?: { host: string; port: number };
  /** Commands that Redis has run. */
  redisCommands?: () => Promise<number>;
}

/** CIM as a target. */
export function systemTarget(system: System): Target {
  const { routeUrl, pids, redisUrl } = system;
  const { hostname: host, port } = new URL(routeUrl);
  return {
    pids,
    logIn: (count, take) => logIn(routeUrl, count, take),
    http: { host, port: Number(port) },
    ...(redisUrl && { redisCommands: () => redisCommands(redisUrl) }),
  };
}

/** Those within scripts count, too. */
async function redisCommands(url: string): Promise<number> {
  const redis = new RedisClient(url);
  const stats: string = await redis.send("INFO", ["commandstats"]);
  redis.close();
  return [...stats.matchAll(/:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0);
}

const BUSY = 0.9;

export async function drive(load: Load, target: Target): Promise<Driven> {
  const child = Bun.spawn([compile("load"), ...argumentsOf(load, target)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    const loggedIn = target.logIn(load.clients, (accounts) => {
      const lines = accounts.map(({ userId, ip, port, token }) => `${userId} ${ip} ${port} ${token}\n`);
      void child.stdin.write(lines.join(""));
      void child.stdin.flush();
    });
    const [measured] = await Promise.all([measure(child, target), loggedIn]);
    return measured;
  } finally {
    child.kill();
    await child.exited;
  }
}

function argumentsOf(load: Load, { http }: Target): string[] {
  const { clients, active = clients, window, rate = 0, textBytes, warmUpSeconds, seconds } = load;
  const numbers = [clients, active, window, rate, textBytes, warmUpSeconds * 1000, seconds * 1000];
  return [...numbers, ...(load.http && http ? [http.host, http.port] : [])].map(String);
}

/** Reads what the others spent while the load generator measures. */
async function measure(
  child: { pid: number; stdout: ReadableStream<Uint8Array> },
  { pids, redisCommands }: Target,
): Promise<Driven> {
  const decoder = new TextDecoder();
  let text = "";
  let begun: { meter: Meter<string>; commands?: Promise<number> } | null = null;
  let ended: { spent: Record<string, Processor>; idle: number; commands?: Promise<number> } | null = null;
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("measuring\n"))
      begun ??= { meter: new Meter({ ...pids, load: child.pid }), commands: redisCommands?.() };
    if (text.includes("measured\n"))
      ended ??= { spent: begun!.meter.spent(), idle: begun!.meter.idle(), commands: redisCommands?.() };
  }
  const last = text.trim().split("\n").at(-1)!;
  if (begun === null || ended === null || !last.startsWith("{"))
    throw new BenchError("the load generator ended early: it says why above");
  const observed = JSON.parse(last) as Observed;
  return {
    observed,
    spent: ended.spent,
    idlePart: ended.idle / (observed.seconds * navigator.hardwareConcurrency),
    redisCommands: redisCommands && (await ended.commands!) - (await begun.commands!),
    remarks: remarksOn(observed),
  };
}

function remarksOn(observed: Observed): string[] {
  const busy = observed.processorSeconds / observed.seconds;
  const wrong = ["refused", "unsent", "lost", "duplicates", "disordered", "holes", "lagging"] as const;
  return [
    ...(busy < BUSY
      ? []
      : [`the load generator was busy ${Math.round(busy * 100)} % of a core: it was the bottleneck`]),
    ...wrong.filter((name) => observed[name] > 0).map((name) => `${name}: ${observed[name]}`),
  ];
}
