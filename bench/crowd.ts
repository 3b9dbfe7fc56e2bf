/** Crowds of light clients (native/crowd.c) with tokens that the bench signs itself, and the bare server beneath them. */
import { join } from "node:path";
import { Tokens } from "../common/token.ts";
import { firstSessionId } from "../route/session-id.ts";
import { compile } from "./native.ts";
import { freePort, type Processes } from "./processes.ts";
import { BenchError } from "./scenario.ts";
import type { System } from "./system.ts";
import { Talker } from "./talker.ts";

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
  /** Connections that the server said goodbye to. */
  goodbyes: number;
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
let sources = 0;

/** What a system needs so that its servers take the bench's tokens. */
export const CROWD_SETTINGS = { CIM_SECRET: SECRET };

export class Crowd extends Talker<Counted> {
  private constructor(
    processes: Processes,
    command: string[],
    readonly count: number,
  ) {
    super(processes, command, `a crowd of ${count}`);
  }

  /** Each gets a source address of its own, so that ports last. */
  static async start(processes: Processes, { file, first, count, more = {} }: CrowdOptions): Promise<Crowd> {
    const source = `127.1.${1 + (sources >> 8)}.${1 + (sources++ % 250)}`;
    const given = { clients: file, first, count, source, ...more };
    const options = Object.entries(given).map(([name, value]) => `${name}=${value}`);
    const crowd = new Crowd(processes, [compile("crowd"), ...options], count);
    await crowd.hear("ready");
    return crowd;
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
    void sink.write((await Promise.all(lines)).join(""));
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

/** Where the system's servers are. */
export async function placesOf({ routeUrl }: System, servers: number): Promise<Place[]> {
  const places = new Map<string, Place>();
  for (let i = 0; places.size < servers && i < 20 * servers; i++) {
    const place = await placeOfLogin(routeUrl, `scout-${i}`);
    places.set(place.bootId, place);
  }
  if (places.size < servers) throw new BenchError(`logins are given ${places.size} of ${servers} servers`);
  return [...places.values()];
}

/** The server that a login of this user, whose account is made if need be, is given. */
export async function placeOfLogin(routeUrl: string, userName: string): Promise<Place> {
  await post(`${routeUrl}/registerAccount`, { userName });
  const { ip, cimServerPort: port, token } = await post(`${routeUrl}/login`, { userName, device: "bench" });
  const { bootId } = JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString());
  return { ip, port, bootId };
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

const BUSY = 0.9;

/** What to say of clients whose process took this part of a core. */
export function remarkOn(busy: number): string[] {
  return busy < BUSY
    ? []
    : [`the clients were busy ${Math.round(busy * 100)} % of a core: they were the bottleneck`];
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
  "goodbyes",
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
