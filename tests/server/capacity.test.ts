import { expect, test } from "bun:test";
import { Capacity, roomFor } from "../../server/capacity.ts";

const ROOM = { connections: 3, turnedAway: 250, perAddress: 2 };

test("up to the limit newcomers come in; beyond it they are let in to be told why not", () => {
  const capacity = new Capacity(ROOM);
  const places = ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3"].map((address) => capacity.enter(address));
  expect([places.map((place) => place?.refusal), capacity.open]).toEqual([
    [null, null, null, "3 connections, which is the limit"],
    4,
  ]);
});

test("an address has a limit of its own, and twice that many are not even told", () => {
  const capacity = new Capacity({ connections: 100, turnedAway: 250, perAddress: 2 });
  const refusals = Array.from({ length: 5 }, () => capacity.enter("10.0.0.1")).map((place) =>
    place === null ? "closed" : place.refusal,
  );
  const full = "2 connections from 10.0.0.1, which is the limit";
  expect([refusals, capacity.enter("10.0.0.2")?.refusal]).toEqual([[null, null, full, full, "closed"], null]);
  expect(capacity.enter("10.0.0.1")).toBeNull();
});

test("loopback has no limit of its own, in any spelling", () => {
  const capacity = new Capacity({ connections: 100, turnedAway: 250, perAddress: 1 });
  for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
    expect([0, 1, 2].map(() => capacity.enter(address)?.refusal)).toEqual([null, null, null]);
});

test("who leaves makes room", () => {
  const capacity = new Capacity(ROOM);
  const [first, second] = [capacity.enter("10.0.0.1")!, capacity.enter("10.0.0.1")!];
  expect(capacity.enter("10.0.0.1")?.refusal).toContain("2 connections from 10.0.0.1");
  capacity.leave(first.address);
  capacity.leave(second.address);
  expect([capacity.enter("10.0.0.1")?.refusal, capacity.open]).toEqual([null, 2]);
});

test("it is shown as full a little before it is, and once it is closed", () => {
  const capacity = new Capacity({ connections: 100, turnedAway: 250, perAddress: 1000 });
  const shown: number[] = [];
  for (let i = 1; i <= 100; i++) {
    capacity.enter("10.0.0.1");
    if (capacity.full) shown.push(i);
  }
  expect(shown).toEqual([97, 98, 99, 100]);
  const closed = new Capacity(ROOM);
  closed.closed = true;
  expect([closed.full, closed.enter("10.0.0.1")?.refusal]).toEqual([true, "the server is shutting down"]);
});

test("far beyond the limit nobody is let in at all", () => {
  const capacity = new Capacity({ connections: 0, turnedAway: 250, perAddress: 1000 });
  const places = Array.from({ length: 251 }, () => capacity.enter("127.0.0.1"));
  expect([places.filter((place) => place !== null).length, capacity.open]).toEqual([250, 250]);
});

test("it tells when it is empty, also when it is already", async () => {
  const capacity = new Capacity(ROOM);
  await capacity.emptied();
  const { address } = capacity.enter("10.0.0.1")!;
  const emptied = capacity.emptied();
  capacity.leave(address);
  await emptied;
});

test("the limit leaves files for everything else, and for those who are turned away, on any machine", () => {
  expect([64, 300, 1024, 20_000, 1_000_000].map((files) => roomFor(files))).toEqual([
    { connections: 64, turnedAway: 8 },
    { connections: 150, turnedAway: 37 },
    { connections: 524, turnedAway: 125 },
    { connections: 19_500, turnedAway: 125 },
    { connections: 999_500, turnedAway: 125 },
  ]);
  expect(roomFor().connections).toBeGreaterThan(0);
});
