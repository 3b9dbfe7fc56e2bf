/** Crowds of light clients (native/crowd.c) with tokens that the bench signs itself, and the bare server beneath them. */
import { join } from "node:path";
import { Tokens } from "../common/token.ts";
import { firstSessionId } from "../route/session-id.ts";
import { compile } from "./native.ts";
import { freePort, type Processes } from "./processes.ts";
import { BenchError } from "./scenario.ts";
import type { System } from "./system.ts";

/** A server as its clients need it. */
export interface Place {
  ip: string;
  port: number;
  /** Which start of the server a token names; "" where nobody looks. */
  bootId: string;
}

export interface Times {
  count: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** What a crowd counted since it was last told to count anew; moments are nanoseconds of the machine's own clock. */
export interface Counted {
  event: string;
  nowNs: number;
  connected: number;
  in: number;
  failed: number;
  refused: number;
  hung: number;
  closed: number;
  lastInNs: number;
  resumes: number;
  deliveries: number;
  duplicates: number;
  holes: number;
  lagging: number;
  /** Deliveries that were read from the log, as their pushes were left out. */
  readOn: number;
  receipts: number;
  blocked: number;
  firstNs: number;
  lastNs: number;
  saidNs: number;
  /** When it began to connect. */
  beganNs: number;
  processorSeconds: number;
  delivery: Times;
  ping: Times;
  late: Times;
  receipt: Times;
  login: Times;
  away: Times;
}

export interface CrowdOptions {
  /** Made by `writeClients`. */
  file: string;
  /** Which of the file's clients. */
  first: number;
  count: number;
  /** As native/crowd.c lists them. */
  more?: Record<string, string | number>;
}

const SECRET = "the-secret-of-every-benchmark";
const DAY_MS = 24 * 60 * 60 * 1000;
const SIGNED_AT_ONCE = 2000;
/** Beyond what accounts are given in a run, so that no two clients are one user. */
const FIRST_USER = 1_000_000;
const ANSWER_MS = 120_000;
let sources = 0;

/** What a system needs so that its servers take the bench's tokens. */
export const CROWD_SETTINGS = { CIM_SECRET: SECRET };

export class Crowd {
  readonly pid: number;
  readonly count: number;
  readonly #stdin: Bun.FileSink;
  readonly #waiting = new Map<string, PromiseWithResolvers<Counted>>();

  private constructor(child: Bun.Subprocess<"pipe", "pipe", "inherit">, count: number) {
    this.pid = child.pid;
    this.count = count;
    this.#stdin = child.stdin;
    void this.#read(child.stdout);
  }

  /** Each gets a source address of its own, so that ports last. */
  static async start(processes: Processes, { file, first, count, more = {} }: CrowdOptions): Promise<Crowd> {
    const source = `127.1.${1 + (sources >> 8)}.${1 + (sources++ % 250)}`;
    const given = { clients: file, first, count, source, ...more };
    const options = Object.entries(given).map(([name, value]) => `${name}=${value}`);
    const child = Bun.spawn([compile("crowd"), ...options], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    processes.adopt(child);
    const crowd = new Crowd(child, count);
    await crowd.hear("ready");
    return crowd;
  }

  /** Says a command and resolves with the answer to it, which may be long in coming. */
  ask(command: string, event: string, withinMs = ANSWER_MS): Promise<Counted> {
    const answer = this.hear(event, withinMs);
    this.#stdin.write(`${command}\n`);
    void this.#stdin.flush();
    return answer;
  }

  hear(event: string, withinMs = ANSWER_MS): Promise<Counted> {
    const waiting = Promise.withResolvers<Counted>();
    this.#waiting.set(event, waiting);
    const late = setTimeout(() => this.#fail(event, `said no "${event}" in ${withinMs} ms`), withinMs);
    return waiting.promise.finally(() => clearTimeout(late));
  }

  async #read(stdout: ReadableStream<Uint8Array>): Promise<void> {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of stdout) {
      const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
      text = lines.pop()!;
      for (const line of lines) this.#take(JSON.parse(line) as Counted);
    }
    for (const event of this.#waiting.keys()) this.#fail(event, `ended before it said "${event}"`);
  }

  #take(line: Counted): void {
    const waiting = this.#waiting.get(line.event);
    this.#waiting.delete(line.event);
    waiting?.resolve(line);
  }

  #fail(event: string, what: string): void {
    const waiting = this.#waiting.get(event);
    this.#waiting.delete(event);
    waiting?.reject(new BenchError(`a crowd of ${this.count} clients ${what}`));
  }
}

/** Starts as many crowds as `count` clients need, each with at most `each` of them. */
export function startCrowds(
  processes: Processes,
  options: CrowdOptions & { each: number },
): Promise<Crowd[]> {
  const { count, first, each } = options;
  const parts = Math.ceil(count / each);
  const size = Math.ceil(count / parts);
  const starts = Array.from({ length: parts }, (_, i) => {
    const part = { ...options, first: first + i * size, count: Math.min(size, count - i * size) };
    return Crowd.start(processes, part);
  });
  return Promise.all(starts);
}

/** Writes a file of clients: `of` says where each is to be. @param user the number of the first, as a user */
export async function writeClients(
  processes: Processes,
  count: number,
  of: (i: number) => Place,
  user = 0,
): Promise<string> {
  const tokens = new Tokens(SECRET);
  const file = join(processes.data, `clients-${crypto.randomUUID()}`);
  const sink = Bun.file(file).writer();
  for (let first = 0; first < count; first += SIGNED_AT_ONCE) {
    const size = Math.min(SIGNED_AT_ONCE, count - first);
    const lines = Array.from({ length: size }, (_, i) => lineOf(tokens, user + first + i, of(first + i)));
    sink.write((await Promise.all(lines)).join(""));
  }
  await sink.end();
  return file;
}

async function lineOf(tokens: Tokens, i: number, { ip, port, bootId }: Place): Promise<string> {
  const issuedAt = Date.now();
  const token = await tokens.sign({
    kind: "session",
    userId: FIRST_USER + i,
    userName: `crowd-${i}`,
    sessionId: firstSessionId(),
    device: "bench",
    bootId,
    issuedAt,
    expiresAt: issuedAt + DAY_MS,
  });
  return `${ip} ${port} ${token}\n`;
}

/** Where the system's servers are, in the order in which logins are given them. */
export async function placesOf({ routeUrl }: System, servers: number): Promise<Place[]> {
  const places = new Map<string, Place>();
  for (let i = 0; places.size < servers && i < 20 * servers; i++) {
    const userName = `scout-${i}`;
    await post(`${routeUrl}/registerAccount`, { userName });
    const { ip, cimServerPort: port, token } = await post(`${routeUrl}/login`, { userName, device: "bench" });
    const { bootId } = JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString());
    places.set(bootId, { ip, port, bootId });
  }
  if (places.size < servers) throw new BenchError(`logins are given ${places.size} of ${servers} servers`);
  return [...places.values()];
}

interface Login {
  ip: string;
  cimServerPort: number;
  token: string;
}

async function post(url: string, body: object): Promise<Login> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  const { code, message, dataBody } = (await response.json()) as {
    code: string;
    message: string;
    dataBody: Login;
  };
  if (code !== "9000") throw new BenchError(`${url}: ${code} ${message}`);
  return dataBody;
}

/** Starts a bare server: in C, or another program that takes a port. */
export async function startFloor(
  processes: Processes,
  program: string[] = [compile("floor")],
): Promise<Place & { pid: number }> {
  const port = await freePort();
  const { pid } = await processes.start([...program, String(port)]);
  return { ip: "127.0.0.1", port, bootId: "", pid };
}

/** What several crowds counted, as one; of times the worst, since percentiles of parts cannot be joined. */
export function together(all: readonly Counted[]): Counted {
  const sums = SUMMED.map((name) => [name, all.reduce((sum, one) => sum + one[name], 0)]);
  const times = TIMES.map((name) => [name, worst(all.map((one) => one[name]))]);
  const firsts = all.map(({ firstNs }) => firstNs).filter((ns) => ns > 0);
  return {
    ...all[0]!,
    ...Object.fromEntries([...sums, ...times]),
    beganNs: Math.min(...all.map(({ beganNs }) => beganNs)),
    lastInNs: Math.max(...all.map(({ lastInNs }) => lastInNs)),
    firstNs: Math.min(...firsts),
    lastNs: Math.max(...all.map(({ lastNs }) => lastNs)),
  };
}

function worst(all: readonly Times[]): Times {
  return {
    count: all.reduce((sum, { count }) => sum + count, 0),
    p50Ms: Math.max(...all.map(({ p50Ms }) => p50Ms)),
    p99Ms: Math.max(...all.map(({ p99Ms }) => p99Ms)),
    maxMs: Math.max(...all.map(({ maxMs }) => maxMs)),
  };
}

const TIMES = ["delivery", "ping", "late", "receipt", "login", "away"] as const;
const SUMMED = [
  "connected",
  "in",
  "failed",
  "refused",
  "hung",
  "closed",
  "resumes",
  "deliveries",
  "duplicates",
  "holes",
  "lagging",
  "readOn",
  "receipts",
  "blocked",
  "processorSeconds",
] as const;
