/** Each scenario runs, for a moment and with few clients: that it works, not how fast. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { removeCompiled } from "../../bench/native.ts";
import { Options } from "../../bench/options.ts";
import { run } from "../../bench/report.ts";
import { SCENARIOS } from "../../bench/scenarios.ts";

setDefaultTimeout(60_000);
afterAll(removeCompiled);

const missing = ["gcc", "redis-server"].filter((program) => !Bun.which(program));
const BRIEFLY = ["--trials", "1", "--seconds", "0.5", "--warm-up", "0.2"];

/** What makes each scenario small. */
const SMALL: Record<string, string[]> = {
  start: ["--starts", "1", "--idle", "0.1"],
  p2p: ["--store", "sqlite", "--window", "4", "--clients", "10"],
  "p2p-offered": ["--clients", "10", "--rate", "200"],
  "p2p-http": ["--clients", "10"],
  growth: ["--online", "20", "--rate", "200"],
  storm: ["--clients", "200"],
  idle: ["--clients", "60", "--workers", "2", "--heartbeat", "1", "--window", "1.5"],
  limit: ["--files", "400", "--newcomers", "50", "--logins", "4"],
  failover: ["--clients", "40", "--others", "1"],
  fanout: ["--clients", "200", "--messages", "2", "--before", "2"],
  "fanout-100k": ["--clients", "200", "--workers", "2", "--messages", "2"],
  "fanout-rate": ["--clients", "100", "--rate", "20", "--window", "1"],
  others: ["--which", "cim", "--clients", "10", "--window", "2", "--connections", "50"],
};

describe.skipIf(missing.length > 0)(missing.length > 0 ? `no ${missing} in PATH` : "a scenario", () => {
  for (const scenario of SCENARIOS.filter(({ name }) => name in SMALL)) {
    test(`${scenario.name} measures something, and loses nothing`, async () => {
      const options = new Options(scenario, [...BRIEFLY, ...SMALL[scenario.name]!]);
      const { cases } = await run(scenario, options, () => undefined);
      const values = cases.flatMap(({ measurements }) => measurements);
      const first = cases.map(({ measurements }) => measurements[0]!.median > 0);
      const wrong = values.filter(
        ({ name, median }) => /lost|refused|not delivered,/.test(name) && median !== 0,
      );
      expect([first.includes(false), wrong]).toEqual([false, []]);
    });
  }
});
