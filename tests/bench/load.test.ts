/** The load generator notices what a bare server does wrong. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { drive, type Load } from "../../bench/load.ts";
import { removeCompiled } from "../../bench/native.ts";
import { Relay } from "../../bench/relay.ts";

setDefaultTimeout(30_000);
afterAll(removeCompiled);

const gccMissing = Bun.which("gcc") ? null : "no gcc in PATH";
const LOAD: Load = { clients: 10, window: 4, rate: 400, textBytes: 100, warmUpSeconds: 0.1, seconds: 0.4 };

async function seen(load: Load, ...fault: string[]) {
  await using relay = await Relay.start("write", ...fault);
  const { accepted, refused, lost, duplicates, disordered, holes } = (await drive(load, relay.target))
    .observed;
  const wrong = Object.entries({ refused, lost, duplicates, disordered, holes }).filter(
    ([, count]) => count > 0,
  );
  return [accepted > 0, ...wrong.map(([name]) => name)];
}

test.skipIf(gccMissing !== null)(gccMissing ?? "nothing is wrong with what comes once", async () => {
  expect(await seen(LOAD)).toEqual([true]);
});

test.skipIf(gccMissing !== null)(gccMissing ?? "as many as get through, over HTTP", async () => {
  expect(await seen({ ...LOAD, rate: 0, window: 1, http: true })).toEqual([true]);
});

test.skipIf(gccMissing !== null)(
  gccMissing ?? "a message that does not come is lost, and leaves a hole",
  async () => {
    expect(await seen(LOAD, "lose", "50")).toEqual([true, "lost", "holes"]);
  },
);

test.skipIf(gccMissing !== null)(gccMissing ?? "one that comes twice is a duplicate", async () => {
  expect(await seen(LOAD, "double", "50")).toEqual([true, "duplicates"]);
});

test.skipIf(gccMissing !== null)(
  gccMissing ?? "what is refused is sent again until it is accepted",
  async () => {
    expect(await seen(LOAD, "refuse", "10")).toEqual([true, "refused"]);
  },
);
