/**
 * Compiles programs into dist/, each an executable that needs no other file:
 * - `bun run build [name ...]`: for this machine, all four or those named;
 * - `bun run build --all [name ...]`: for every platform, cim (which has all roles in it) and cim-client, or those
 *   named. What another platform needs of Bun comes from npm, once. `--platform linux-arm64`: for that one alone.
 */
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { PLATFORMS, type Platform, programFile } from "../route/platforms.ts";
import { signAdHoc } from "./mach-o.ts";

const ENTRIES: Record<string, string> = {
  cim: "start.ts",
  "cim-route": "route/main.ts",
  "cim-server": "server/main.ts",
  "cim-client": "client/main.ts",
};
const FOR_EVERYONE = ["cim", "cim-client"];

// Nothing beside the binary may change how it starts, so neither .env files nor a bunfig.toml are read.
const FLAGS = [
  "--compile",
  "--production",
  "--minify",
  "--bytecode",
  "--format=esm",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
];

const MEBIBYTE = 1024 * 1024;
/** Another platform's Bun is 40 MB to fetch. */
const LONGEST_MS = 5 * 60 * 1000;

if (import.meta.main) process.exit(build(process.argv.slice(2)));

/** @returns the exit code: 1 when something was not built, after a line on stderr for each */
function build(argv: string[]): number {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      all: { type: "boolean" },
      platform: { type: "string", multiple: true },
      outdir: { type: "string", default: "dist" },
    },
  });
  const { all, outdir, platform: chosen = all ? Object.keys(PLATFORMS) : [] } = values;
  const wrong =
    unknown(positionals, ENTRIES, "none for all") ?? unknown(chosen, PLATFORMS, "--all for all platforms");
  if (wrong) {
    console.error(`build ${wrong}`);
    return 1;
  }
  const platforms = chosen.length > 0 ? (chosen as Platform[]) : [null];
  const names = positionals.length > 0 ? positionals : all ? FOR_EVERYONE : Object.keys(ENTRIES);
  mkdirSync(outdir, { recursive: true });
  const built = platforms.flatMap((platform) => names.map((name) => compile(name, platform, outdir)));
  return built.every(Boolean) ? 0 : 1;
}

/** One line for names that are not in the table; null when all are. */
function unknown(given: string[], table: object, otherwise: string): string | null {
  const names = given.filter((name) => !Object.hasOwn(table, name));
  if (names.length === 0) return null;
  return `${names.join(" ")}: want some of ${Object.keys(table).join(", ")}, or ${otherwise}`;
}

/** @param platform null for this machine's */
function compile(name: string, platform: Platform | null, outdir: string): boolean {
  const outfile = join(outdir, platform ? programFile(name, platform) : name);
  const target = platform ? [`--target=bun-${platform}`] : [];
  const { success, stderr, exitedDueToTimeout } = Bun.spawnSync(
    [process.execPath, "build", ...FLAGS, ...target, ENTRIES[name]!, "--outfile", outfile],
    { stdout: "ignore", stderr: "pipe", timeout: LONGEST_MS },
  );
  if (success) {
    if (platform?.startsWith("darwin")) writeFileSync(outfile, signAdHoc(readFileSync(outfile)));
    console.log(`${outfile}  ${Math.round(statSync(outfile).size / MEBIBYTE)} MiB`);
    return true;
  }
  const said = stderr.toString().trim();
  // What cannot be had is one line; errors in the sources are shown whole.
  const why = exitedDueToTimeout ? `not done within ${LONGEST_MS} ms` : last(said, /^Failed to download/);
  console.error(`${outfile}: not built: ${why ?? said}`);
  return false;
}

function last(said: string, line: RegExp): string | undefined {
  return said.split(/[\r\n]+/).findLast((one) => line.test(one));
}
