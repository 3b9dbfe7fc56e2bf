/** What a run says of itself. */
import { arch, cpus, freemem, release, totalmem, type } from "node:os";
import { $ } from "bun";
import { version } from "../../package.json" with { type: "json" };
import { type Entry, JournalReader } from "./journal.ts";
import type { Counts, Violation } from "./violation.ts";
import type { Engines } from "./world.ts";

export interface Settings {
  seed: number;
  engines: Engines;
  /** How long faults are made; or how many, whatever that takes. */
  minutes: number;
  faults: number | null;
  /** The names of those to be made, in this order; none: all, in the seed's. */
  only: string[];
  /** Faults in each wave. */
  atOnce: number;
  /** Settings of every role beyond those of a run. */
  env: Record<string, string>;
  routes: number;
  servers: number;
  clients: number;
  /** Of each user, each a client: more than one wants CIM_LOGIN_POLICY=multi. */
  devices: number;
  processes: number;
  /** Messages a second. */
  toOne: number;
  toAll: number;
}

export interface FaultRecord {
  name: string;
  what: string;
  at: string;
  durationMs: number;
}

export interface Report {
  machine: Record<string, string | number>;
  versions: Record<string, string>;
  settings: Settings;
  /** Faults that cannot be made here, and why. */
  leftOut: Record<string, string>;
  faults: FaultRecord[];
  counts: Counts & { lost: number; twice: number; outOfOrder: number };
  durationMs: number;
  /** Each time all fell silent: how long it took, once all was whole, until everyone had everything. */
  settledMs: number[];
  violationCount: number;
  violations: (Violation & { around: string[] })[];
}

const AROUND_MS = 15_000;
const MAX_LINES_AROUND = 60;

export function machine(): Report["machine"] {
  const [cpu] = cpus();
  return {
    system: `${type()} ${release()} ${arch()}`,
    cpu: cpu?.model ?? "unknown",
    cores: navigator.hardwareConcurrency,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    freeMiB: Math.round(freemem() / 2 ** 20),
  };
}

export async function versions(engines: Engines): Promise<Record<string, string>> {
  const own = { cim: version, bun: Bun.version };
  if (engines === "embedded") return own;
  const redis = await $`redis-server --version`.quiet().nothrow().text();
  return { ...own, redis: redis.trim() };
}

/** What the clients concerned wrote down around a violation, and what was broken then. */
export function around(
  violation: Violation,
  journals: readonly string[],
  faults: readonly FaultRecord[],
): string[] {
  const { at, messageId, client } = violation;
  const lines: { at: number; text: string }[] = [];
  for (const path of journals) {
    for (const entry of new JournalReader(path).read()) {
      if (concerns(entry, violation)) lines.push({ at: entry.at, text: describe(entry) });
    }
  }
  for (const fault of faults) {
    const from = Date.parse(fault.at);
    const to = from + fault.durationMs;
    if (from < at + AROUND_MS && to > at - AROUND_MS)
      lines.push({
        at: from,
        text: `fault: ${fault.name} (${fault.what}), whole again after ${fault.durationMs} ms`,
      });
  }
  lines.push({ at, text: `violation: ${violation.kind} ${messageId ?? ""} ${client ?? ""}` });
  return lines
    .sort((a, b) => a.at - b.at)
    .slice(0, MAX_LINES_AROUND)
    .map((line) => `${new Date(line.at).toISOString()} ${line.text}`);
}

/** Everything of this message, and what its receiver said of itself and received there at that time. */
function concerns(entry: Entry, { at, client, conversation, seq, messageId }: Violation): boolean {
  if ("id" in entry && entry.id === messageId) return true;
  if (entry.client !== client || entry.is === "token") return false;
  if (entry.is === "receives" && entry.conversation === conversation)
    return Math.abs(entry.seq - (seq ?? 0)) <= 3;
  return entry.is === "state" && Math.abs(entry.at - at) < AROUND_MS;
}

function describe(entry: Entry): string {
  return JSON.stringify({ ...entry, at: undefined });
}
