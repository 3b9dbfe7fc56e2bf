/** `bun run chaos`: see docs/chaos.md. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runChaos } from "./run.ts";
import type { Engines } from "./world.ts";

const HELP = `bun run chaos: kills, hangs, drains and cuts while clients chat, and counts what they got.

  --seed N          repeats a run's faults and traffic (default: a new one)
  --minutes M       how long faults are made (2); then everything settles
  --faults N        how many faults, instead of how long
  --only NAME       this fault; any number of them, made in this order
  --at-once N       how many faults at the same time (1)
  --env NAME=VALUE  a setting of every role; any number of them
  --engines E       embedded, or distributed: Redis and ZooKeeper (embedded)
  --clients N       (300)
  --devices N       of each user, each a client (1); more want --env CIM_LOGIN_POLICY=multi
  --servers N       (3)
  --routes N        (3; embedded: 1)
  --to-one N        private messages a second (60)
  --to-all N        messages to everyone a second (5)
  --directory D     keeps journals and logs there (default: only after a violation, in a new directory)
  --json            prints the report as JSON on stdout, everything else goes to stderr
`;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    minutes: { type: "string", default: "2" },
    faults: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
    "at-once": { type: "string", default: "1" },
    env: { type: "string", multiple: true, default: [] },
    engines: { type: "string", default: "embedded" },
    clients: { type: "string", default: "300" },
    devices: { type: "string", default: "1" },
    servers: { type: "string", default: "3" },
    routes: { type: "string" },
    "to-one": { type: "string", default: "60" },
    "to-all": { type: "string", default: "5" },
    directory: { type: "string" },
    json: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
});

if (values.help) {
  console.log(HELP);
  process.exit(0);
}
if (values.engines !== "embedded" && values.engines !== "distributed") {
  console.error(`--engines ${values.engines}: want embedded or distributed`);
  process.exit(2);
}
const engines: Engines = values.engines;
const directory = values.directory ?? (await mkdtemp(join(tmpdir(), "cim-chaos-")));
const report = await runChaos({
  seed: values.seed === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : number("seed"),
  engines,
  minutes: number("minutes"),
  faults: values.faults === undefined ? null : number("faults"),
  only: values.only,
  atOnce: number("at-once"),
  env: Object.fromEntries(values.env.map((setting) => setting.split(/=(.*)/s).slice(0, 2))),
  routes: engines === "embedded" ? 1 : values.routes === undefined ? 3 : number("routes"),
  servers: number("servers"),
  clients: number("clients"),
  devices: number("devices"),
  processes: 4,
  toOne: number("to-one"),
  toAll: number("to-all"),
  directory,
  say: (line) => console.error(line),
});
if (values.json) console.log(JSON.stringify(report, null, 2));
else console.log(Bun.inspect(report, { depth: 6 }));
if (report.violationCount > 0) console.error(`journals and logs: ${directory}`);
else if (values.directory === undefined) await rm(directory, { recursive: true });
process.exit(report.violationCount === 0 ? 0 : 1);

function number(
  name:
    | "seed"
    | "minutes"
    | "faults"
    | "clients"
    | "devices"
    | "servers"
    | "routes"
    | "at-once"
    | "to-one"
    | "to-all",
): number {
  const value = Number(values[name]);
  if (Number.isFinite(value) && value >= 0) return value;
  console.error(`--${name} ${values[name]}: want a number, 0 or more`);
  process.exit(2);
}
