/** Writes docs/benchmarks.md and its plots from the reports in bench/results: `bun run bench:docs`. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { draw, number } from "./plot.ts";
import type { CaseReport, Measurement, Report } from "./report.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";
import { TARGETS } from "./targets.ts";

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

const WAY = `## What stands in the way

Where a target is not met, this is what the profiles show (\`bun run bench p2p --profile <directory>\`).

- **Many messages in flight.** With both engines the target is met; a sixth of the machine and more still stands idle.
  With SQLite one thread of the route is the limit, and one process has the file: the other core cannot help.
- **One message at a time** (window 1, a steady rate over many clients, HTTP). Nothing can be gathered for one sender, so
  each message pays for what is paid once in a batch. In the server more than half is the kernel's: one read, and two
  writes to sockets that are cold; the load generator alone takes a quarter of a core for every 10,000 messages a
  second. In Redis it is what Lua spends around four commands of a microsecond or two, and the log of changes.
- **HTTP.** Of the 57 µs that 35,000 a second would allow for all parts, the load generator takes nearly half, and the
  bare handling of a request by Bun's server much of the rest. Half of what the route spends is that edge; then come
  Redis' client library and the calls to servers. Requests wait for Redis in turns, whose append is most of its work.
- **To everyone.** Most of it is the kernel's writes, and the ratio to a bare program moves with what else the
  machine does: from trial to trial by a tenth. What Bun adds to each write is as much as all we do around it.
- **Very many idle.** A heartbeat is one read and one write on a socket that nothing has touched for a minute, and a
  turn of the event loop of its own, which Bun makes nearly twice as dear as a bare program in C does. So a server that
  hears nothing else lets heartbeats gather, 50 ms at a time. What is said first after five seconds of silence waits
  for the end of such a moment, so it does not gather them for longer.

What was tried, and stayed: messages written as one row of a journal a batch and settled later, as runs of a
conversation, a retry known by three integers; marks kept in memory or as runs, the wire written by hand and read where
it stands, calls in lanes, waiting for the disk apart from writing to it, statements that SQLite need not compile at each
call, pages of 8 KiB; scripts that do not wait for the answers of those before them and name their keys in one text, the
next append begun while what the last one stored is still being pushed, what is remembered for retries in one hash that
Redis need not search from its beginning, one step for what many requests bring in one turn; memory that is free kept
for a minute; acknowledgements that come after a broadcast, not amid it. What was tried, and left: larger slices of a broadcast,
several rows in one statement of SQLite, other settings of the collector of garbage (no difference beyond what trials
differ by), and smaller steps between server, route and store (they cost more).
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
  files.set("benchmarks.md", [HEAD, targets(reports), WAY, ...sections, TAIL].join("\n"));
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
