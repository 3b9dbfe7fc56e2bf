/** `bun run bench <scenario>`: measures, and prints a report as JSON; without a scenario it says which there are. */
import { mkdirSync } from "node:fs";
import { COMMON_FLAGS, Options } from "./options.ts";
import { run } from "./report.ts";
import { BenchError, type Flag, type Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

async function main([name, ...args]: string[]): Promise<void> {
  if (name === undefined || name === "--help") return console.log(help());
  const wanted = SCENARIOS.filter((scenario) => name === "all" || scenario.name === name);
  if (wanted.length === 0) {
    const names = SCENARIOS.map((scenario) => scenario.name).join(", ");
    throw new BenchError(`${name}: there is no such scenario; want all, or one of ${names}`);
  }
  for (const scenario of wanted) await attempt(() => measure(scenario, new Options(scenario, args)));
}

/** What one scenario lacks or breaks ends with 1, but does not keep the others from being run. */
async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    console.error(error instanceof BenchError ? `bench: ${error.message}` : error);
    process.exitCode = 1;
  }
}

async function measure(scenario: Scenario, options: Options): Promise<void> {
  const report = await run(scenario, options, (line) => console.error(line));
  const json = `${JSON.stringify(report, null, 2)}\n`;
  const directory = options.text("out");
  if (directory === "") return void process.stdout.write(json);
  mkdirSync(directory, { recursive: true });
  await Bun.write(`${directory}/${scenario.name}.json`, json);
}

function help(): string {
  const flag = (indent: string) => (entry: [string, Flag]) => {
    const [name, { default: value, meaning }] = entry;
    return `${indent}--${name.padEnd(8)} ${meaning}${value && ` (${value})`}`;
  };
  return [
    "bun run bench <scenario> [flags]    measures, and prints JSON",
    "bun run bench all --out <directory>  all of them, a file each",
    "",
    ...Object.entries(COMMON_FLAGS).map(flag("  ")),
    "  --binary   dist/cim-route and dist/cim-server instead of the sources",
    "",
    ...SCENARIOS.flatMap(({ name, sentence, flags }) => [
      `${name}: ${sentence}`,
      ...Object.entries(flags).map(flag("    ")),
    ]),
  ].join("\n");
}

// An exit in order removes what lies about.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
await attempt(() => main(process.argv.slice(2)));
