/** Writes docs/benchmarks.md and its plots from the reports in bench/results: `bun run bench:docs`. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { draw, number } from "./plot.ts";
import type { CaseReport, Measurement, Report } from "./report.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";
import { TARGETS } from "./targets.ts";
import { standsInTheWay } from "./ways.ts";

const ROOT = join(import.meta.dir, "..");
const RESULTS = "bench/results";

const HEAD = `# Benchmarks

Made by \`bun run bench:docs\` from the reports in [bench/results](../${RESULTS}), which hold every trial. Every number
comes from one command, which stands beside it; a number is the median of its trials, with the least and the greatest
behind it. In a plot, a bar is a median and a tick a trial.

- The real processes run, on one machine with the load generator and with what keeps the data. The warm-up does not
  count. The trials of all cases are made in turns, so that what else the machine does hits all of them.
- A **floor** is what a bare program in C reaches that makes the same system calls and does nothing else, under the
  same load, on the same machine, in the same trial. A ratio compares a value with it.
- The load generator is a program in C that keeps to the protocol. It says when it was the bottleneck itself. It counts
  what comes: what is lost, out of order or twice stands in the table. What is refused for now it sends again.
- A receipt is what tells a sender that its message is stored; a delivery is its arrival at the receiver. At a given
  rate, both are timed from when the message was due, however late it could be sent. Without one, clients send again
  as soon as they are told, so times there say how long the queue is.
- Clients have tokens, but accounts without passwords: making those would take longer than all the rest.
`;

const TAIL = `## What was not measured

- Machines apart, with a network between them: everything runs on one, over loopback, and shares its cores.
- TLS, WebSockets, and clients that are programs of ours: the load generator speaks TCP, and costs less than those.
- Redis with Sentinel or as a Cluster, and ZooKeeper; a Redis that flushes only now and then.
- Days: trials take seconds, and logs are short.
`;

/** What stands in docs/, by path within it: benchmarks.md, and its plots. */
export function pages(reports: readonly Report[]): Map<string, string> {
  const files = new Map<string, string>();
  const sections = SCENARIOS.map((scenario) => {
    const report = reports.find((one) => one.scenario === scenario.name);
    return report ? section(scenario, report, files) : missing(scenario);
  });
  files.set("benchmarks.md", [HEAD, targets(reports), standsInTheWay(reports), ...sections, TAIL].join("\n"));
  return files;
}

export function readReports(): Report[] {
  const directory = join(ROOT, RESULTS);
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory).filter((name) => name.endsWith(".json"));
  return names.sort().map((name) => JSON.parse(readFileSync(join(directory, name), "utf8")) as Report);
}

function targets(reports: readonly Report[]): string {
  const rows = TARGETS.map(({ what, wanted, scenario, found }) => {
    const report = reports.find((one) => one.scenario === scenario);
    const result = report ? found(report) : null;
    if (!report || !result) return row([what, wanted, "not measured", "", ""]);
    return row([what, wanted, result.shown, result.met ? "met" : "**not met**", `\`${report.command}\``]);
  });
  return `## Targets

| what | wanted | measured | | command |
|---|---|---|---|---|
${rows.join("\n")}
`;
}

function section(scenario: Scenario, report: Report, files: Map<string, string>): string {
  const plots = scenario.plots.flatMap((plot, i) => {
    const drawing = draw(plot, report.cases);
    if (drawing === null) return [];
    const path = `benchmarks/${scenario.name}-${i + 1}.svg`;
    files.set(path, drawing);
    return [`![${plot.title}](${path})\n`];
  });
  const remarks = report.cases.flatMap(({ name, remarks }) => remarks.map((text) => `- ${name}, ${text}`));
  return [
    `## ${scenario.name}\n`,
    `${report.sentence}\n`,
    `\`${report.command}\` · ${where(report)}\n`,
    `Settings: ${settings(report.settings)}. Every trial: [${scenario.name}.json](../${RESULTS}/${scenario.name}.json).\n`,
    ...(scenario.notes ? [`${scenario.notes}\n`] : []),
    ...plots,
    ...report.cases.map((one) => table(one)),
    ...(remarks.length > 0 ? ["To know before believing them:\n", `${remarks.join("\n")}\n`] : []),
  ].join("\n");
}

function missing({ name, sentence }: Scenario): string {
  return `## ${name}\n\n${sentence}\n\nNot measured yet: \`bun run bench ${name} --out ${RESULTS}\`.\n`;
}

function where({ date, machine, versions }: Report): string {
  const gibibytes = Math.round(machine.memoryBytes / 1024 ** 3);
  const programs = Object.entries(versions).map(
    ([name, said]) => `${name} ${/\d+(\.\d+)+/.exec(said)?.[0] ?? said}`,
  );
  return [
    `${date} UTC`,
    `${machine.processor}, ${machine.cores} cores, ${gibibytes} GiB, Linux ${machine.kernel}, ${machine.fileSystem}`,
    programs.join(", "),
    `load before ${machine.loadBefore.join(" ")}`,
  ].join(" · ");
}

function settings(values: Record<string, unknown>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

function table({ name, settings: given, measurements }: CaseReport): string {
  const rows = measurements.map(({ name, unit, median, trials, ratio, floor }) =>
    row([
      name,
      `${number(median)} ${unit}`,
      range(trials),
      ratio === undefined ? "" : `${number(ratio)} × ${floor}`,
    ]),
  );
  return `<details><summary>${name}: ${summary(measurements)}</summary>

Settings: ${settings(given)}.

| | median | trials | |
|---|--:|---|---|
${rows.join("\n")}

</details>
`;
}

/** The first measurement, which a scenario puts first because it matters most. */
function summary([first]: Measurement[]): string {
  return first ? `${first.name} ${number(first.median)} ${first.unit}` : "nothing";
}

function range(trials: number[]): string {
  return `${number(Math.min(...trials))} – ${number(Math.max(...trials))}`;
}

function row(cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

if (import.meta.main) {
  const plots = join(ROOT, "docs/benchmarks");
  rmSync(plots, { recursive: true, force: true });
  mkdirSync(plots);
  for (const [path, text] of pages(readReports())) await Bun.write(join(ROOT, "docs", path), text);
}
