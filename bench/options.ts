/** The command line of a benchmark. */
import { parseArgs } from "node:util";
import { BenchError, type Flag, type Scenario } from "./scenario.ts";

/** What every scenario takes. */
export const COMMON_FLAGS = {
  trials: { default: "3", meaning: "trials of each case" },
  seconds: { default: "8", meaning: "seconds measured in a trial" },
  "warm-up": {
    default: "10",
    meaning: "seconds before that, which do not count: code is still being compiled",
  },
  profile: { default: "", meaning: "directory to write processor profiles of route and server to" },
  out: { default: "", meaning: "directory to write <scenario>.json to, instead of printing it" },
} satisfies Record<string, Flag>;

export class Options {
  readonly #values: Record<string, string>;
  /** Runs dist/cim-route and dist/cim-server instead of the sources. */
  readonly binary: boolean;
  /** What gives the same again. */
  readonly command: string;

  /** @throws BenchError for a flag that the scenario does not have */
  constructor(scenario: Scenario, args: string[]) {
    const flags: Record<string, Flag> = { ...COMMON_FLAGS, ...scenario.flags };
    const names = Object.keys(flags);
    const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
    const given = parse(scenario, args, options);
    this.binary = given.binary === true;
    this.#values = Object.fromEntries(
      names.map((name) => [name, String(given[name] ?? flags[name]!.default)]),
    );
    this.command = ["bun run bench", scenario.name, ...withoutOut(args)].join(" ");
  }

  /** How CIM's own programs are to be run. */
  get programs(): { binary: boolean; profile: string } {
    return { binary: this.binary, profile: this.text("profile") };
  }

  get trials(): number {
    return this.number("trials");
  }

  get seconds(): number {
    return this.number("seconds");
  }

  get warmUpSeconds(): number {
    return this.number("warm-up");
  }

  text(name: string): string {
    const value = this.#values[name];
    if (value === undefined) throw new Error(`--${name} is not among the flags`);
    return value;
  }

  texts(name: string): string[] {
    return this.text(name).split(",");
  }

  number(name: string): number {
    return positive(name, this.text(name));
  }

  numbers(name: string): number[] {
    return this.texts(name).map((text) => positive(name, text));
  }
}

function parse(
  scenario: Scenario,
  args: string[],
  options: Record<string, { type: "string" }>,
): Record<string, string | boolean | undefined> {
  try {
    return parseArgs({ args, options: { ...options, binary: { type: "boolean" as const } } }).values;
  } catch (error) {
    throw new BenchError(`${scenario.name}: ${(error as Error).message}`);
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value > 0)) throw new BenchError(`--${name} ${text}: want a number above 0`);
  return value;
}

function withoutOut(args: string[]): string[] {
  return args.filter((arg, i) => !arg.startsWith("--out") && args[i - 1] !== "--out");
}
