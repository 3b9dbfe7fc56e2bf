/** Every benchmark there is, in the order in which `bun run bench all` runs them. */
import { fanout } from "./fanout.ts";
import { p2p } from "./p2p.ts";
import type { Scenario } from "./scenario.ts";
import { start } from "./start.ts";

export const SCENARIOS: readonly Scenario[] = [start, p2p, fanout];
