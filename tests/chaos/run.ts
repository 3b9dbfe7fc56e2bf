/** One run: start everything, let clients chat while things break, let it settle, and hold what arrived against what was accepted. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "../../client/sdk/client.ts";
import { until } from "../support/until.ts";
import { Crowds } from "./crowds.ts";
import { FAULTS, type Fault, type Scene } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import type { Participant } from "./member.ts";
import { around, type FaultRecord, machine, type Report, type Settings, versions } from "./report.ts";
import { reasonAgainst, storm } from "./storm.ts";
import type { Violation } from "./violation.ts";
import { World } from "./world.ts";

export interface RunOptions extends Settings {
  /** For data, logs and journals; kept. */
  directory: string;
  say: (line: string) => void;
}

const READ_EVERY_MS = 250;
const MAX_EXPLAINED = 20;
const OBSERVER = "observer";

export async function runChaos(options: RunOptions): Promise<Report> {
  const { directory, say, ...settings } = options;
  const { engines } = settings;
  await mkdir(directory, { recursive: true });
  const startedAt = performance.now();
  const world = await World.start({ ...options, env: { CIM_LOG: "info", ...settings.env } });
  const participants = await enrol(world, settings);
  const ledger = new Ledger(participants);
  const crowds = await Crowds.start({
    ...options,
    routeUrl: world.routeUrl,
    adminKey: world.adminKey,
    participants,
  });
  const reading = setInterval(() => crowds.report(ledger), READ_EVERY_MS);
  const faults: FaultRecord[] = [];
  const blame = (kind: Violation["kind"], text: string) => {
    say(`VIOLATION ${kind}: ${text}`);
    ledger.violations.push({ kind, text, at: Date.now() });
  };
  const settledMs: number[] = [];
  try {
    say(`${participants.length} clients chat; journals and logs in ${directory}`);
    await storm({ settings, world, crowds, ledger, blame, faults, settledMs, say });
    await checkPresence(world, crowds, participants, blame);
  } catch (error) {
    blame("process", (error as Error).stack ?? String(error));
  } finally {
    clearInterval(reading);
    await crowds.end();
    await world.end();
    await keepLogs(world, crowds, directory);
  }
  crowds.report(ledger);
  if (ledger.counts.received === 0) blame("process", "nobody received anything");
  ledger.close(
    faults.map(({ at, durationMs }) => ({ from: Date.parse(at), to: Date.parse(at) + durationMs })),
  );
  const explained = ledger.violations.slice(0, MAX_EXPLAINED);
  const count = (...kinds: Violation["kind"][]) =>
    ledger.violations.filter(({ kind }) => kinds.includes(kind)).length;
  return {
    machine: machine(),
    versions: await versions(engines),
    settings,
    leftOut: Object.fromEntries(FAULTS.flatMap((fault) => leftOut(fault, world))),
    faults,
    counts: {
      ...ledger.counts,
      lost: count("lost"),
      twice: count("twice"),
      outOfOrder: count("out of order", "reordered"),
    },
    durationMs: Math.round(performance.now() - startedAt),
    settledMs,
    violationCount: ledger.violations.length,
    violations: explained.map((one) => ({ ...one, around: around(one, crowds.journals, faults) })),
  };
}

function leftOut(fault: Fault, world: World): [string, string][] {
  const reason = reasonAgainst(fault, world);
  return reason === null ? [] : [[fault.name, reason]];
}

/** Everyone is online, and after a logout nobody is. */
async function checkPresence(
  world: World,
  crowds: Crowds,
  participants: readonly Participant[],
  blame: Scene["blame"],
): Promise<void> {
  await using observer = await connect({
    routeUrl: world.routeUrl,
    userName: OBSERVER,
    password: OBSERVER.repeat(2),
    register: true,
  });
  const names = new Set(participants.map(({ userName }) => userName));
  const online = async () => {
    const found: string[] = [];
    for await (const { userName } of observer.onlineUsers()) if (names.has(userName)) found.push(userName);
    return found.length;
  };
  const expect = (count: number) =>
    until(`${count} are online`, async () => (await online()) === count).catch(async () =>
      blame("presence", `${await online()} clients are online, want ${count}`),
    );
  await expect(names.size);
  await crowds.leave();
  await expect(0);
}

/** Registers users; each device of one is a participant. */
async function enrol(world: World, { clients, devices }: Settings): Promise<Participant[]> {
  const participants: Participant[] = [];
  for (let i = 0; i < clients / devices; i++) {
    const userName = `c${i}`;
    const response = await fetch(`${world.routeUrl}/registerAccount`, {
      method: "POST",
      headers: { authorization: `Bearer ${world.adminKey}`, "content-type": "application/json" },
      body: JSON.stringify({ userName }),
    });
    const answer = (await response.json()) as { code: string; message: string; dataBody: { userId: number } };
    if (answer.code !== "9000") throw new Error(`registering ${userName}: ${answer.code} ${answer.message}`);
    const { userId } = answer.dataBody;
    for (let device = 1; device <= devices; device++) {
      const name = device === 1 ? userName : `${userName}/${device}`;
      participants.push({ name, userId, userName, device: `device ${device}` });
    }
  }
  return participants;
}

async function keepLogs(world: World, crowds: Crowds, directory: string): Promise<void> {
  for (const role of [...world.routes, ...world.servers, ...world.replaced]) {
    await Bun.write(join(directory, `${role.name.replaceAll(/\W+/g, "-")}.log`), role.output);
  }
  await Bun.write(join(directory, "crowds.log"), crowds.output);
}
