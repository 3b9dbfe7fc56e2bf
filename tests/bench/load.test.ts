/** The load generator notices what a bare server does wrong. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { drive, type Load } from "../../bench/load.ts";
import { Relay } from "../../bench/relay.ts";

setDefaultTimeout(30_000);

const gccMissing = Bun.which("gcc") ? null : "no gcc in PATH";
const LOAD: Load = { clients: 10, window: 4, rate: 400, textBytes: 100, warmUpSeconds: 0.1, seconds: 0.4 };

async function seen(load: Load, ...fault: string[]) {
  await using relay = await Relay.start(...fault);
  const { accepted, lost, duplicates, disordered, holes } = (await drive(load, relay.target)).observed;
  return { some: accepted > 0, lost: lost > 0, duplicates: duplicates > 0, disordered, holes: holes > 0 };
}

const FINE = { some: true, lost: false, duplicates: false, disordered: 0, holes: false };

test.skipIf(gccMissing !== null)(gccMissing ?? "nothing is wrong with what comes once", async () => {
  expect(await seen(LOAD)).toEqual(FINE);
});

test.skipIf(gccMissing !== null)(gccMissing ?? "as many as get through, over HTTP", async () => {
  expect(await seen({ ...LOAD, rate: 0, window: 1, http: true })).toEqual(FINE);
});

test.skipIf(gccMissing !== null)(
  gccMissing ?? "a message that does not come is lost, and leaves a hole",
  async () => {
    expect(await seen(LOAD, "lose", "50")).toEqual({ ...FINE, lost: true, holes: true });
  },
);

test.skipIf(gccMissing !== null)(gccMissing ?? "one that comes twice is a duplicate", async () => {
  expect(await seen(LOAD, "double", "50")).toEqual({ ...FINE, duplicates: true });
});
