/** What the workflows say can be done here, as far as that can be seen without running them. */
import { describe, expect, test } from "bun:test";
import { access, readdir } from "node:fs/promises";
import { join } from "node:path";
import { YAML } from "bun";
import packageJson from "../package.json" with { type: "json" };
import { PLATFORMS } from "../route/platforms.ts";

const ROOT = join(import.meta.dir, "..");
const WORKFLOWS = ".github/workflows";

interface Job {
  "runs-on"?: string;
  needs?: string | string[];
  uses?: string;
  permissions?: Record<string, string>;
  "timeout-minutes"?: number;
  container?: { image: string };
  strategy?: { matrix: { include: { platform: string }[] } };
  steps?: { uses?: string; run?: string; env?: Record<string, string> }[];
}

interface Workflow {
  on: Record<string, unknown>;
  permissions: Record<string, string>;
  jobs: Record<string, Job>;
}

async function read(name: string): Promise<Workflow> {
  return YAML.parse(await Bun.file(join(ROOT, WORKFLOWS, name)).text()) as Workflow;
}

const names = (await readdir(join(ROOT, WORKFLOWS))).sort();

test("one for each change, one for each release", () => {
  expect(names).toEqual(["ci.yml", "release.yml"]);
});

describe.each(names)("%s", (name) => {
  test("uses nothing of a moving version", async () => {
    const { jobs } = await read(name);
    const used = Object.values(jobs).flatMap(({ uses, container, steps = [] }) => [
      uses ?? [],
      container?.image ?? [],
      ...steps.map((step) => step.uses ?? []),
    ]);
    const exact = /^(\.\/.*|[\w-]+\/[\w-]+@v\d+\.\d+\.\d+|node:\d+\.\d+\.\d+-bookworm)$/;
    expect(used.flat().filter((one) => !exact.test(one))).toEqual([]);
  });

  test("may only read, but for the job that makes the release", async () => {
    const { permissions, jobs } = await read(name);
    const more = Object.entries(jobs).flatMap(([job, { permissions: own }]) => (own ? [[job, own]] : []));
    expect({ permissions, more }).toEqual({
      permissions: { contents: "read" },
      more: name === "release.yml" ? [["release", { contents: "write" }]] : [],
    });
  });

  test("calls scripts that there are, and nothing from outside gets into a command", async () => {
    const { jobs } = await read(name);
    const commands = Object.values(jobs).flatMap(({ steps = [] }) => steps.map(({ run = "" }) => run));
    const missing: string[] = [];
    for (const command of commands) {
      for (const [, script] of command.matchAll(/\bbun run ([\w:-]+)/g))
        if (!(script! in packageJson.scripts)) missing.push(command);
      for (const [, file] of command.matchAll(/\bbash ([\w./-]+)/g))
        await access(join(ROOT, file!)).catch(() => missing.push(command));
      if (command.includes("${{")) missing.push(command);
    }
    expect([missing, commands.length > 0]).toEqual([[], true]);
  });

  test("refers to jobs and workflows that there are, each with an end", async () => {
    const { jobs } = await read(name);
    const wrong: string[] = [];
    for (const [job, { needs = [], uses, "timeout-minutes": minutes }] of Object.entries(jobs)) {
      for (const needed of [needs].flat()) if (!jobs[needed]) wrong.push(`${job} needs ${needed}`);
      if (uses) await access(join(ROOT, uses)).catch(() => wrong.push(`${job} uses ${uses}`));
      else if (!minutes) wrong.push(`${job} may go on for ever`);
    }
    expect(wrong).toEqual([]);
  });
});

test("changes and releases are checked by what is checked here", async () => {
  const [ci, release] = [await read("ci.yml"), await read("release.yml")];
  expect({
    on: Object.keys(ci.on),
    checks: ci.jobs.check!.steps!.at(-1)!.run,
    tags: release.on,
    order: Object.entries(release.jobs).map(([job, { needs = [] }]) => [job, ...[needs].flat()]),
    checked: release.jobs.check!.uses,
  }).toEqual({
    on: ["push", "pull_request", "workflow_call"],
    checks: "bash .ci/run",
    tags: { push: { tags: ["v*"] } },
    order: [["check"], ["build", "check"], ["try", "build"], ["release", "build", "try"]],
    checked: `./${WORKFLOWS}/ci.yml`,
  });
});

test("what is compiled for a machine that can be had is run on one before it is released", async () => {
  const { jobs } = await read("release.yml");
  const tried = jobs.try!.strategy!.matrix.include.map(({ platform }) => platform);
  const compiled = Object.keys(PLATFORMS).filter((platform) => !platform.endsWith("musl"));
  expect(tried.sort()).toEqual(compiled.sort());
});
