/** Writes docs/configuration.md from the table of settings: `bun run docs`. */
import { flagOf, VARIABLES, type VariableName } from "../common/config.ts";

const HEAD = `# Configuration

Every setting is an environment variable and a flag of the binaries. A value that cannot be used stops the start with
one line that names it, what was given and what is wanted. A setting that is empty counts as not set.

| variable | flag | meaning | default | wanted |
|---|---|---|---|---|
`;

export function configurationPage(): string {
  const rows = Object.entries(VARIABLES).map(([name, { meaning, default: value, want }]) =>
    row([
      `\`${name}\``,
      `\`${flagOf(name as VariableName)}\``,
      meaning,
      value === "" ? "" : `\`${value}\``,
      want,
    ]),
  );
  return `${HEAD}${rows.join("\n")}\n`;
}

function row(cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

if (import.meta.main) await Bun.write("docs/configuration.md", configurationPage());
