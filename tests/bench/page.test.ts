import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pages, readReports } from "../../bench/page.ts";
import type { Report } from "../../bench/report.ts";

const DOCS = join(import.meta.dir, "../../docs");

test("docs/benchmarks.md and its plots are what the generator writes from the kept reports", () => {
  const plots = join(DOCS, "benchmarks");
  const drawn = existsSync(plots) ? readdirSync(plots).map((name) => `benchmarks/${name}`) : [];
  const committed = ["benchmarks.md", ...drawn].map((path): [string, string] => [
    path,
    readFileSync(join(DOCS, path), "utf8"),
  ]);
  expect(new Map(committed.sort())).toEqual(new Map([...pages(readReports())].sort()));
});

test("a target says what was measured, whether that is enough, and which command gave it; or that nobody measured it", () => {
  const page = pages([report(61_234), { ...report(0), scenario: "p2p-http" }]).get("benchmarks.md")!;
  expect(page.split("\n").filter((line) => /^\| (p2p over|growth)/.test(line))).toEqual([
    "| p2p over connections, Redis: stored, delivered and acknowledged | ≥ 60,000 messages/s | 61,234 messages/s (redis, window 64) | met | `bun run bench p2p` |",
    "| p2p over HTTP (`/p2pRoute`), Redis | ≥ 35,000 messages/s | 0 messages/s (redis, window 64) | **not met** | `bun run bench p2p` |",
    "| growth: processor time of a message with 10, 1,000 and 15,000 online | within 15 % | not measured |  |  |",
  ]);
});

test("what a reader has to know before believing a number stands under it", () => {
  const page = pages([report(1000)]).get("benchmarks.md")!;
  expect(page).toContain("- redis, window 64, trial 1: the load generator was busy 97 % of a core");
});

function report(perSecond: number): Report {
  const measurement = {
    name: "stored and delivered",
    unit: "messages/s",
    trials: [perSecond],
    median: perSecond,
  };
  return {
    scenario: "p2p",
    sentence: "Messages.",
    command: "bun run bench p2p",
    date: "2026-01-02 03:04",
    settings: {},
    machine: {
      processor: "P",
      cores: 2,
      memoryBytes: 1,
      kernel: "6",
      fileSystem: "ext4",
      loadBefore: [0, 0, 0],
    },
    versions: {},
    cases: [
      {
        name: "redis, window 64",
        settings: {},
        measurements: [measurement],
        remarks: ["trial 1: the load generator was busy 97 % of a core"],
      },
    ],
  };
}
