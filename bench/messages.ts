/** One trial of messages: the floor under them, then the system, under the same load. */
import { type Driven, drive, type Load, systemTarget } from "./load.ts";
import { valuesOf } from "./load-values.ts";
import type { Options } from "./options.ts";
import { Relay } from "./relay.ts";
import { BenchError, type Trial, type Value } from "./scenario.ts";
import { type Store, System, type SystemOptions } from "./system.ts";

const STORES = ["sqlite", "redis"];
/** The bare program has nothing to warm up but the sockets, and varies little. */
const FLOOR_SECONDS = 3;
const FLOOR_WARM_UP_SECONDS = 1;

/** What is compared with the floor's value of the same name. */
const COMPARED = /^(stored and delivered|(receipt|delivery) p\d+)$/;

/**
 * Two floors: the sockets alone; and with them a file, to which what came at once is written before anyone is told.
 * Where messages are on the disk before they count as stored (SQLite), the floor waits for that, too.
 */
export async function messageTrial(load: Load, options: SystemOptions): Promise<Trial> {
  const storing = options.store === "sqlite" ? "sync" : "write";
  const floor = await driveFloor(load, "nothing");
  const storingFloor = await driveFloor(load, storing);
  await using system = await System.start(options);
  const driven = await drive(load, systemTarget(system));
  const ours = valuesOf(driven).map((value): Value => {
    return COMPARED.test(value.name) ? { ...value, floor: `floor: ${value.name}` } : value;
  });
  return {
    values: [
      ...ours,
      ...named("floor", floor, /^(stored|receipt|delivery)|processor$|busy|idle/),
      ...named("floor that stores", storingFloor, /^(stored|receipt|delivery)/),
    ],
    remarks: [
      ...driven.remarks,
      ...floor.remarks.map((text) => `floor: ${text}`),
      ...storingFloor.remarks.map((text) => `floor that stores: ${text}`),
    ],
  };
}

async function driveFloor(load: Load, storing: "nothing" | "write" | "sync"): Promise<Driven> {
  await using relay = await Relay.start(storing);
  const seconds = Math.min(load.seconds, FLOOR_SECONDS);
  const warmUpSeconds = Math.min(load.warmUpSeconds, FLOOR_WARM_UP_SECONDS);
  return await drive({ ...load, seconds, warmUpSeconds }, relay.target);
}

function named(prefix: string, floor: Driven, which: RegExp): Value[] {
  return valuesOf(floor)
    .filter(({ name }) => which.test(name))
    .map((value) => ({ ...value, name: `${prefix}: ${value.name}` }));
}

/** @throws BenchError */
export function storesOf(options: Options): Store[] {
  const stores = options.texts("store");
  const unknown = stores.filter((store) => !STORES.includes(store));
  if (unknown.length > 0) throw new BenchError(`--store ${unknown}: want some of ${STORES.join(",")}`);
  return stores as Store[];
}
