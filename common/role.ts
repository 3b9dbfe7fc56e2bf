/** What every entry point does: flags, --help, --version, start, and drain when told to stop. */
import { parseArgs } from "node:util";
import { version } from "../package.json" with { type: "json" };
import { type Config, ConfigError, flagOf, readConfig, VARIABLES, type VariableName } from "./config.ts";

export { version };

export interface Role {
  /** The program's name, for --help and errors. */
  name: string;
  /** One sentence. */
  summary: string;
  /** Starts it and answers what to print, and how to stop it. @throws ConfigError for what the operator must mend */
  start(config: Config): Promise<Running>;
}

export interface Running {
  /** Where everything is, in a few lines. */
  banner: string[];
  /** Drains and ends everything. Called once. */
  stop(): Promise<void>;
}

/**
 * Runs a role until it is told to stop.
 * @returns the exit code: 0 after --help, --version or a drain; 1 when it could not start, after one line on stderr
 */
export async function runRole(role: Role, argv: string[], env: NodeJS.ProcessEnv): Promise<number> {
  try {
    const flags = parseFlags(argv);
    if (flags.help) return print(helpText(role));
    if (flags.version) return print(`${role.name} ${version}`);
    // From the start on: clients may be there before all of it is.
    const stopped = stopSignal();
    const running = await role.start(readConfig({ ...env, ...flags.variables }));
    print(running.banner.join("\n"));
    await stopped;
    await running.stop();
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`${role.name}: ${error.message}`);
    return 1;
  }
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      resolve();
      process.once("SIGTERM", () => process.exit(1)).once("SIGINT", () => process.exit(1));
    };
    process.once("SIGTERM", stop).once("SIGINT", stop);
  });
}

interface Flags {
  help: boolean;
  version: boolean;
  variables: Partial<Record<VariableName, string>>;
}

function parseFlags(argv: string[]): Flags {
  const names = Object.keys(VARIABLES) as VariableName[];
  const options: Record<string, { type: "string" | "boolean"; short?: string }> = {
    help: { type: "boolean", short: "h" },
    version: { type: "boolean", short: "v" },
  };
  for (const name of names) options[flagOf(name).slice(2)] = { type: "string" };
  try {
    const { values } = parseArgs({ args: argv, options });
    const given = names.flatMap((name) => {
      const value = values[flagOf(name).slice(2)];
      return typeof value === "string" ? [[name, value]] : [];
    });
    return { help: !!values.help, version: !!values.version, variables: Object.fromEntries(given) };
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}; --help lists what there is`, { cause: error });
  }
}

function helpText(role: Role): string {
  const rows = Object.entries(VARIABLES).map(([name, variable]) => {
    const flag = flagOf(name as VariableName);
    const shown = variable.default === "" ? "" : ` (${variable.default})`;
    return `  ${flag.padEnd(34)}${name}\n      ${variable.meaning}${shown}`;
  });
  return [
    `${role.name} ${version}: ${role.summary}`,
    "",
    `Usage: ${role.name} [--flag value ...]`,
    "",
    "Each setting is a flag or an environment variable; in brackets its default:",
    ...rows,
    "  -h, --help",
    "  -v, --version",
  ].join("\n");
}

function print(text: string): number {
  console.log(text);
  return 0;
}
