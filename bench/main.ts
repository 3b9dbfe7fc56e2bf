/** `bun run bench [scenario]`: runs one scenario, or all, and prints a JSON report for each. */
import { p2p } from "./p2p.ts";
import { start } from "./start.ts";

const SCENARIOS: Record<string, () => Promise<void>> = { start, p2p };

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !SCENARIOS[name]);
if (unknown.length > 0) {
  console.error(
    `bench ${unknown.join(" ")}: want some of ${Object.keys(SCENARIOS).join(", ")}, or none for all`,
  );
  process.exit(1);
}
for (const name of wanted.length > 0 ? wanted : Object.keys(SCENARIOS)) await SCENARIOS[name]!();
