import { expect, test } from "bun:test";
import { Heartbeat } from "../../../client/sdk/heartbeat.ts";
import { StillClock } from "./clock.ts";

function beating() {
  const clock = new StillClock();
  const log: string[] = [];
  const heartbeat = new Heartbeat({
    clock,
    everyMs: 100,
    ping: () => log.push(`ping ${clock.now()}`),
    dead: (silentMs) => log.push(`dead ${clock.now()} after ${silentMs}`),
  });
  return { clock, log, heartbeat };
}

test("a connection that writes nothing pings each heartbeat, and lives by what it hears", () => {
  const { clock, log, heartbeat } = beating();
  for (let i = 0; i < 4; i++) {
    clock.pass(100);
    heartbeat.heard();
  }
  expect(log).toEqual(["ping 100", "ping 200", "ping 300", "ping 400"]);
});

test("whatever is written saves the ping", () => {
  const { clock, log, heartbeat } = beating();
  for (let i = 0; i < 10; i++) {
    clock.pass(60);
    heartbeat.wrote();
    heartbeat.heard();
  }
  clock.pass(100);
  expect(log).toEqual(["ping 700"]);
});

test("a connection is dead when nothing was heard for two heartbeats, however much was written", () => {
  const { clock, log, heartbeat } = beating();
  clock.pass(50);
  heartbeat.heard();
  for (let i = 0; i < 30; i++) {
    heartbeat.wrote();
    clock.pass(10);
  }
  expect(log).toEqual(["dead 250 after 200"]);
});

test("nothing happens any more once it is stopped", () => {
  const { clock, log, heartbeat } = beating();
  heartbeat.stop();
  clock.pass(1000);
  expect(log).toEqual([]);
});
