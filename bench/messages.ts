/** One trial of messages: the floor under them, then the system, under the same load. */
import { type Driven, drive, type Load, systemTarget, valuesOf } from "./load.ts";
import type { Options } from "./options.ts";
import { Relay } from "./relay.ts";
import { BenchError, type Trial, type Value } from "./scenario.ts";
import { type Store, System, type SystemOptions } from "./system.ts";

const STORES = ["sqlite", "redis"];
/** The bare program has nothing to warm up but the sockets, and varies little. */
const FLOOR_SECONDS = 3;
const FLOOR_WARM_UP_SECONDS = 1;

/** What is compared with the floor's value of the same name. */
const COMPARED = /^(accepted|delivered|(receipt|delivery) p\d+)$/;

export async function messageTrial(load: Load, options: SystemOptions): Promise<Trial> {
  const floor = await driveFloor(load);
  await using system = await System.start(options);
  const driven = await drive(load, systemTarget(system));
  const ours = valuesOf(driven).map((value): Value => {
    return COMPARED.test(value.name) ? { ...value, floor: `floor: ${value.name}` } : value;
  });
  return {
    values: [...ours, ...floorValues(floor)],
    remarks: [...driven.remarks, ...floor.remarks.map((text) => `floor: ${text}`)],
  };
}

async function driveFloor(load: Load): Promise<Driven> {
  await using relay = await Relay.start();
  const seconds = Math.min(load.seconds, FLOOR_SECONDS);
  const warmUpSeconds = Math.min(load.warmUpSeconds, FLOOR_WARM_UP_SECONDS);
  return await drive({ ...load, seconds, warmUpSeconds }, relay.target);
}

function floorValues(floor: Driven): Value[] {
  return valuesOf(floor)
    .filter(({ name }) => COMPARED.test(name) || /processor$|busy|idle/.test(name))
    .map((value) => ({ ...value, name: `floor: ${value.name}` }));
}

/** @throws BenchError */
export function storesOf(options: Options): Store[] {
  const stores = options.texts("store");
  const unknown = stores.filter((store) => !STORES.includes(store));
  if (unknown.length > 0) throw new BenchError(`--store ${unknown}: want some of ${STORES.join(",")}`);
  return stores as Store[];
}
