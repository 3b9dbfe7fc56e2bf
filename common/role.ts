/** What every entry point does: flags, --help, --version, start (as several workers too), and drain when told to stop. */
import { parseArgs } from "node:util";
import { version } from "../package.json" with { type: "json" };
import { type Config, ConfigError, flagOf, readConfig, VARIABLES, type VariableName } from "./config.ts";
import { createLogger } from "./logger.ts";
import { lineToParent, runWorkers } from "./workers.ts";

export { version };

export interface Role {
  /** The program's name, for --help and errors. */
  name: string;
  /** One sentence. */
  summary: string;
  /**
   * Starts it and answers what to print, and how to stop it.
   * @param worker its number from 1 on when it is one of several (CIM_WORKERS), else null
   * @throws ConfigError for what the operator must mend
   */
  start(config: Config, worker: number | null): Promise<Running>;
  /**
   * What each of several workers, by its number, has instead of these settings. Left out by a role that is one process.
   * @throws ConfigError for settings under which there cannot be several
   */
  share?(config: Config): (worker: number) => Overrides;
}

export type Overrides = Partial<Record<VariableName, string>>;

export interface Running {
  /** Where everything is, in a few lines. */
  banner: string[];
  /** Drains and ends everything. Called once. */
  stop(): Promise<void>;
}

/**
 * Runs a role until it is told to stop.
 * @param words those before the flags that make this program the role: `cim server`
 * @returns the exit code: 0 after --help, --version or a drain; 1 when it could not start, after one line on stderr
 */
export async function runRole(
  role: Role,
  argv: string[],
  env: NodeJS.ProcessEnv,
  words: readonly string[] = [],
): Promise<number> {
  try {
    const flags = parseFlags(argv);
    if (flags.help) return print(helpText(role));
    if (flags.version) return print(`${role.name} ${version}`);
    const settings = { ...env, ...flags.variables };
    if (flags.worker !== null) return await runAsWorker(role, flags.worker, settings);
    // From the start on: clients may be there before all of it is.
    const stopped = stopSignal();
    const config = readConfig(settings);
    if (config.workers > 1 && role.share) {
      const overrides = role.share(config);
      return await runWorkers({
        count: config.workers,
        words,
        environment: (worker) => ({ ...settings, ...overrides(worker) }),
        log: createLogger(config.log, role.name),
        stopped,
        ready: (banner) => void print(banner.join("\n")),
      });
    }
    const running = await role.start(config, null);
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

/** What would be printed the parent is told. */
async function runAsWorker(role: Role, worker: number, settings: NodeJS.ProcessEnv): Promise<number> {
  const line = lineToParent();
  try {
    const running = await role.start(readConfig(settings), worker);
    await line.ready(running.banner);
    await line.stopped;
    await running.stop();
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    await line.refused(error.message);
    return 1;
  }
}

/** One Ctrl-C comes twice under `bun run`: from the terminal, and passed on. */
const ONE_KEY_MS = 300;

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let since = Number.POSITIVE_INFINITY;
    const stop = () => {
      if (performance.now() - since > ONE_KEY_MS) process.exit(1);
      since = Math.min(since, performance.now());
      resolve();
    };
    process.on("SIGTERM", stop).on("SIGINT", stop);
  });
}

interface Flags {
  help: boolean;
  version: boolean;
  /** Only a parent sets it. */
  worker: number | null;
  variables: Overrides;
}

function parseFlags(argv: string[]): Flags {
  const names = Object.keys(VARIABLES) as VariableName[];
  const options: Record<string, { type: "string" | "boolean"; short?: string }> = {
    help: { type: "boolean", short: "h" },
    version: { type: "boolean", short: "v" },
    worker: { type: "string" },
  };
  for (const name of names) options[flagOf(name).slice(2)] = { type: "string" };
  try {
    const { values } = parseArgs({ args: argv, options });
    const given = names.flatMap((name) => {
      const value = values[flagOf(name).slice(2)];
      return typeof value === "string" ? [[name, value]] : [];
    });
    const { help = false, version = false, worker = null } = values;
    return {
      help: help === true,
      version: version === true,
      worker: worker === null ? null : Number(worker),
      variables: Object.fromEntries(given),
    };
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
