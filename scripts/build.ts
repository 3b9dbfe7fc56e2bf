/** Compiles each role into an executable of its own in dist/: `bun run build [name ...]`. */
import { mkdirSync, statSync } from "node:fs";
import { parseArgs } from "node:util";

const ENTRIES: Record<string, string> = {
  cim: "start.ts",
  "cim-route": "route/main.ts",
  "cim-server": "server/main.ts",
  "cim-client": "client/main.ts",
};

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

const { positionals } = parseArgs({ allowPositionals: true });
const unknown = positionals.filter((name) => !ENTRIES[name]);
if (unknown.length > 0) {
  console.error(
    `build ${unknown.join(" ")}: want some of ${Object.keys(ENTRIES).join(", ")}, or none for all`,
  );
  process.exit(1);
}

mkdirSync("dist", { recursive: true });
for (const name of positionals.length > 0 ? positionals : Object.keys(ENTRIES)) {
  const outfile = `dist/${name}`;
  const build = Bun.spawnSync([process.execPath, "build", ...FLAGS, ENTRIES[name]!, "--outfile", outfile], {
    stdout: "ignore",
    stderr: "inherit",
  });
  if (!build.success) process.exit(1);
  console.log(`${outfile}  ${Math.round(statSync(outfile).size / MEBIBYTE)} MiB`);
}
