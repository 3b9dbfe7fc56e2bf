/** What stands in the way of targets that are not met: in words, and what each part takes of what there is. */
import { number } from "./plot.ts";
import type { Report } from "./report.ts";
import { measured } from "./targets.ts";

const MICROSECONDS = 1e6;

/** Targets of so many messages a second, and the case in whose report the parts stand. */
const RATES = [
  { what: "offered steadily", perSecond: 20_000, scenario: "p2p-offered", caseName: "20000 messages/s" },
  { what: "over HTTP", perSecond: 35_000, scenario: "p2p-http", caseName: "redis" },
];
const PARTS = ["load", "server", "route", "redis"];

const PROFILES = `Where a target is not met, this is what the profiles show (\`bun run bench p2p --profile <directory>\`).

- **Many messages in flight.** With both engines the target is met. With SQLite one thread of the route is the limit, and
  one process has the file: the other core cannot help.
- **One message at a time** (window 1, a steady rate over many clients, HTTP). Nothing can be gathered for one sender, so
  each message pays for what is paid once in a batch. In the server more than half is the kernel's: one read, and two
  writes to sockets that are cold. In Redis it is three commands (head, retries, log), what Lua spends around them, and
  the log of changes. In the route nothing stands out: reading, checking, addressing and writing a message are a few
  hundredths each.
- **HTTP.** The bare handling of a request by Bun's server takes much of what there would be for all parts. Half of what
  the route spends is that edge; then come Redis' client library and the calls to servers.
- **To everyone.** Most of it is the kernel's writes, and the ratio to a bare program moves with what else the
  machine does: from trial to trial by a tenth. The message has been stored and has gone through the route before the
  first is written, which the bare program need not wait for: "said to first delivery".
- **Very many idle.** A heartbeat is one read and one write on a socket that nothing has touched for a minute, and a
  turn of the event loop of its own, which Bun makes nearly twice as dear as a bare program in C does. So a server that
  hears nothing else lets heartbeats gather, 50 ms at a time. What is said first after five seconds of silence waits
  for the end of such a moment, so it does not gather them for longer. More than half of what is left is the kernel's.
`;

const TRIED = `What was tried, and stayed: messages written as one row of a journal a batch and settled later, as runs of a
conversation, a retry known by three integers; in Redis one mark for all that an append brings, sessions that are kept
until it says that they changed, and asked for right behind the messages they are to get; the wire written by hand and
read where it stands, calls in lanes, waiting for the disk apart from writing to it, statements that SQLite need not
compile at each call, pages of 8 KiB; scripts that do not wait for the answers of those before them and name their keys in
one text, the next append begun while what the last one stored is still being pushed, what is remembered for retries in
one hash that Redis need not search from its beginning, one step for what many requests bring in one turn; memory that is
free kept for a minute; acknowledgements that come after a broadcast, not amid it. What was tried, and left: larger slices
of a broadcast, writing to sockets past Bun by calling the kernel directly, several rows in one statement of SQLite, other
settings of the collector of garbage (no difference beyond what trials differ by), and smaller steps between server, route
and store (they cost more).
`;

export function standsInTheWay(reports: readonly Report[]): string {
  return ["## What stands in the way\n", PROFILES, shares(reports), TRIED].join("\n");
}

/** Microseconds of processor that a message may take, and takes. */
function shares(reports: readonly Report[]): string {
  const rows = RATES.flatMap(({ what, perSecond, scenario, caseName }) => {
    const report = reports.find((one) => one.scenario === scenario);
    if (!report) return [];
    const of = (name: string) => measured(report, caseName, `${name}: processor`)?.median;
    const bare = [of("floor: relay"), of("floor: load")];
    const parts = PARTS.map(of);
    if ([...bare, ...parts].includes(undefined)) return [];
    const may = (report.machine.cores * MICROSECONDS) / perSecond;
    const cells = [may, sum(bare), sum(parts), ...parts].map((value) => number(value!));
    return [`| ${perSecond.toLocaleString("en")}/s ${what} | ${cells.join(" | ")} |`];
  });
  if (rows.length === 0) return "";
  return `What a message of such a rate may take of all cores, in microseconds of processor; what the bare program takes with the
load generator, which store nothing and check nobody; and what ours take with it (at 20,000/s offered; over HTTP at what
they reach). What the kernel does for sockets between processes, and what the machine's host takes, comes on top.

| | there is | bare program and load generator | all parts | ${PARTS.join(" | ")} |
|---|--:|--:|--:|${PARTS.map(() => "--:").join("|")}|
${rows.join("\n")}
`;
}

function sum(values: readonly (number | undefined)[]): number {
  return values.reduce<number>((total, value) => total + value!, 0);
}
