/** Makes faults, wave after wave; in some waves everyone falls silent, so that nothing later covers up what was missed. */
import { until } from "../support/until.ts";
import { FAULTS, type Fault, type Scene } from "./faults.ts";
import type { Ledger } from "./ledger.ts";
import { Random } from "./random.ts";
import type { FaultRecord, Settings } from "./report.ts";
import type { World } from "./world.ts";

export interface Storm extends Omit<Scene, "random" | "strict"> {
  settings: Settings;
  ledger: Ledger;
  say: (line: string) => void;
  faults: FaultRecord[];
  /** How long it took each time, once all was whole, until everyone had everything. */
  settledMs: number[];
}

/** How long that may take. */
const SETTLE_MS = 60_000;
const CALM_MS = { lowest: 500, highest: 3000 };
/** Within this time the faults of a wave begin, and fall silent those who do. */
const SPREAD_MS = 3000;

/** All faults in an order that the seed gives, then all again in another; those that are asked for, as they are named. */
export async function storm(storm: Storm): Promise<void> {
  const { settings, world, crowds, faults } = storm;
  const random = new Random(settings.seed);
  const wanted = settings.only.length === 0 ? FAULTS : settings.only.map(named);
  const possible = wanted.filter((fault) => reasonAgainst(fault, world) === null);
  const endAt = performance.now() + settings.minutes * 60_000;
  const isOver = () =>
    settings.faults === null ? performance.now() >= endAt : faults.length >= settings.faults;
  let left: Fault[] = [];
  crowds.chat();
  while (!isOver()) {
    if (left.length === 0) left = settings.only.length === 0 ? random.shuffled(possible) : [...possible];
    const wave = take(left, settings.atOnce);
    const hush = random.next() < 0.5;
    await Bun.sleep(random.between(CALM_MS.lowest, CALM_MS.highest));
    await strike(storm, wave, random, hush);
    if (!hush) continue;
    await settle(storm);
    crowds.chat();
  }
  await crowds.quiet();
  await settle(storm);
}

/** Why a fault cannot be had here; null when it can. */
export function reasonAgainst(fault: Fault, world: World): string | null {
  return fault.impossible?.(world) ?? null;
}

/** The next faults, no two of which hit the same thing. */
function take(left: Fault[], count: number): Fault[] {
  const wave: Fault[] = [];
  for (let i = 0; i < left.length && wave.length < count; ) {
    if (wave.every(({ hits }) => hits !== left[i]!.hits)) wave.push(...left.splice(i, 1));
    else i++;
  }
  return wave;
}

function named(name: string): Fault {
  const fault = FAULTS.find((one) => one.name === name);
  if (fault) return fault;
  throw new Error(`${name}: want one of ${FAULTS.map((one) => one.name).join(", ")}`);
}

async function strike(storm: Storm, wave: Fault[], random: Random, hush: boolean): Promise<void> {
  const { crowds, world } = storm;
  const strict = wave.length === 1;
  const under = wave.map((fault, i) => {
    // Its own, so that it does the same whatever the others' timing is.
    const own = new Random(random.between(0, 2 ** 31));
    return make(storm, fault, own, strict, i === 0 ? 0 : random.between(0, SPREAD_MS));
  });
  const silenceInMs = random.between(0, SPREAD_MS);
  // Clients that are killed cannot be told.
  const early = hush && wave.every((fault) => fault.hits !== "clients");
  const silence = early ? Bun.sleep(silenceInMs).then(() => crowds.quiet()) : null;
  await Promise.all(under);
  await world.healthy();
  if (hush) await (silence ?? crowds.quiet());
}

async function make(
  storm: Storm,
  fault: Fault,
  random: Random,
  strict: boolean,
  inMs: number,
): Promise<void> {
  await Bun.sleep(inMs);
  const at = Date.now();
  const record = { name: fault.name, what: "did not end", at: new Date(at).toISOString(), durationMs: 0 };
  storm.faults.push(record);
  try {
    record.what = await fault.run({ ...storm, random, strict });
  } finally {
    record.durationMs = Date.now() - at;
    storm.say(`${record.at} ${record.name}: ${record.what}; over after ${record.durationMs} ms`);
  }
}

/** Resolves when everyone has everything. @throws when it does not come to that */
async function settle({ crowds, ledger, settledMs, say }: Storm): Promise<void> {
  const since = performance.now();
  const isSettled = () => {
    crowds.report(ledger);
    return ledger.missing(1).length === 0;
  };
  await until("everyone has everything, as all is whole", isSettled, SETTLE_MS);
  settledMs.push(Math.round(performance.now() - since));
  say(`everyone has everything after ${settledMs.at(-1)} ms`);
}
