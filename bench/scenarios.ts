/** Every benchmark there is, in the order in which `bun run bench all` runs them. */
import type { Scenario } from "./scenario.ts";
import { start } from "./start.ts";

export const SCENARIOS: readonly Scenario[] = [start];
