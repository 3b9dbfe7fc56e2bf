import { expect, test } from "bun:test";
import { until } from "../../support/until.ts";
import { Faulty } from "./faulty.ts";
import { Here } from "./here.ts";

const HOUR_MS = 60 * 60 * 1000;

test("a client that is hurried tries again at once, and waits as before the next time", async () => {
  await using here = await Here.open();
  await here.server();
  const network = new Faulty();
  const told: string[] = [];
  await using alice = await here.client("alice", {
    transport: network.dial,
    backoff: () => HOUR_MS,
    onStatus: (status) => {
      if (status.type !== "token") told.push(status.type === "state" ? status.state : "waiting");
    },
  });
  alice.hurry();
  for (let losses = 1; losses <= 2; losses++) {
    network.cut();
    await until("it waits", () => told.filter((what) => what === "waiting").length === losses);
    alice.hurry();
    await until("it is back", () => alice.state === "Ready");
  }
  const loss = ["Reconnecting", "waiting", "Ready"];
  expect(told).toEqual(["Connecting", "Ready", ...loss, ...loss]);
});
