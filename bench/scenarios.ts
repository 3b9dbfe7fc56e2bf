/** Every benchmark there is, in the order in which `bun run bench all` runs them. */
import { failover } from "./connections-failover.ts";
import { idle } from "./connections-idle.ts";
import { limit } from "./connections-limit.ts";
import { memory } from "./connections-memory.ts";
import { storm } from "./connections-storm.ts";
import { fanout } from "./fanout.ts";
import { fanout100k } from "./fanout-100k.ts";
import { fanoutRate } from "./fanout-rate.ts";
import { growth } from "./growth.ts";
import { others } from "./others.ts";
import { p2p } from "./p2p.ts";
import { p2pHttp } from "./p2p-http.ts";
import { p2pOffered } from "./p2p-offered.ts";
import type { Scenario } from "./scenario.ts";
import { start } from "./start.ts";

export const SCENARIOS: readonly Scenario[] = [
  start,
  p2p,
  p2pOffered,
  p2pHttp,
  growth,
  memory,
  storm,
  idle,
  limit,
  failover,
  fanout,
  fanout100k,
  fanoutRate,
  others,
];
