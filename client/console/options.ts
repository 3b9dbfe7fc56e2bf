/** The console's own settings: each a flag, some an environment variable as well. `--help` is made from this table. */
import { parseArgs } from "node:util";
import { ConfigError } from "../../common/config.ts";
import type { ModelOptions } from "./model.ts";
import { LANGUAGES, type Language, languageOf } from "./texts/language.ts";
import type { Texts } from "./texts/texts.ts";

interface Option {
  /** What stands behind the flag in --help; "" for a switch. */
  value: string;
  meaning: string;
  env?: string;
  default?: string;
  /** What a value must be; the words for it are part of the error. */
  want?: Want;
  accepts?: (given: string) => boolean;
  short?: string;
  /** May be left out without a default. */
  optional?: boolean;
}

/** Kinds of values. */
export type Want = "url" | "name" | "language" | "model";

const MAX_NAME_LENGTH = 64;

export const OPTIONS = {
  route: {
    value: "URL",
    meaning: "where the route is",
    env: "CIM_ROUTE_URL",
    default: "http://127.0.0.1:8083",
    want: "url",
    accepts: (given) => /^https?:$/.test(URL.parse(given)?.protocol ?? ""),
  },
  user: {
    value: "NAME",
    meaning: "who you are; a new name is registered",
    env: "CIM_USER",
    want: "name",
    accepts: isName,
  },
  device: {
    value: "NAME",
    meaning: "under CIM_LOGIN_POLICY=multi, one session for each device",
    env: "CIM_DEVICE",
    default: "default",
    want: "name",
    accepts: isName,
  },
  lang: {
    value: "LANGUAGE",
    meaning: `${Object.keys(LANGUAGES).join(" or ")}; when not set, what the locale says`,
    want: "language",
    accepts: (given) => Object.hasOwn(LANGUAGES, given),
    optional: true,
  },
  "ai-url": {
    value: "URL",
    meaning: "an OpenAI-compatible endpoint that answers in AI mode; when not set, the built-in bot",
    env: "CIM_AI_URL",
    want: "url",
    accepts: (given) => /^https?:$/.test(URL.parse(given)?.protocol ?? ""),
    optional: true,
  },
  "ai-model": {
    value: "NAME",
    meaning: "the model that answers there",
    env: "CIM_AI_MODEL",
    default: "gpt-4o-mini",
    want: "model",
    accepts: (given) => /^.{1,200}$/u.test(given),
  },
  "new-password": { value: "", meaning: "ask for a new password, in place of the old one or of none" },
  json: { value: "", meaning: "print everything as lines of JSON" },
  help: { value: "", meaning: "print this", short: "h" },
  version: { value: "", meaning: "print the version", short: "v" },
} as const satisfies Record<string, Option>;

/** Never flags: they would be seen in the list of processes. */
const PASSWORD_VARIABLE = "CIM_PASSWORD";
const AI_KEY_VARIABLE = "CIM_AI_KEY";

export interface Options {
  route: string;
  user: string;
  device: string;
  language: Language;
  json: boolean;
  /** To ask for one. */
  newPassword: boolean;
  /** What CIM_PASSWORD says. */
  password?: string;
  /** Who answers in AI mode, when it is not the built-in bot. */
  ai?: ModelOptions;
}

type Env = Record<string, string | undefined>;
type Given = Record<string, string | true>;

/** @throws ConfigError that names the option, its value and what was wanted, in the person's language */
export function readOptions(argv: string[], env: Env): Options | "help" | "version" {
  const { language, texts } = spoken(argv, env);
  const given = parseFlags(argv, texts);
  if (given.help) return "help";
  if (given.version) return "version";
  read("lang", given, env, texts);
  const url = read("ai-url", given, env, texts).replace(/\/+$/, "");
  const model = read("ai-model", given, env, texts);
  return {
    route: read("route", given, env, texts).replace(/\/+$/, ""),
    user: read("user", given, env, texts).normalize("NFC").trim(),
    device: read("device", given, env, texts).normalize("NFC").trim(),
    language,
    json: given.json === true,
    newPassword: given["new-password"] === true,
    password: env[PASSWORD_VARIABLE] || undefined,
    ai: url ? { url, model, key: env[AI_KEY_VARIABLE] || undefined } : undefined,
  };
}

/** In which language mistakes are told, those in the flags among them. */
function spoken(argv: string[], env: Env): { language: Language; texts: Texts } {
  const { values } = parseArgs({ args: argv, options: { lang: { type: "string" } }, strict: false });
  const lang = String(values.lang);
  const language = Object.hasOwn(LANGUAGES, lang) ? (lang as Language) : languageOf(env);
  return { language, texts: LANGUAGES[language] };
}

export function helpText(version: string): string {
  const rows = Object.entries(OPTIONS).map(([name, option]: [string, Option]) => {
    const flag = `${option.short ? `-${option.short}, ` : ""}--${name}${option.value && ` ${option.value}`}`;
    const notes = [option.env, option.default].filter(Boolean).join(", ");
    return `  ${flag.padEnd(20)}${option.meaning}${notes && ` (${notes})`}`;
  });
  return [
    `cim-client ${version}: chat in a terminal, or send and read lines in a script.`,
    "",
    "Usage: cim-client --user NAME [--route URL] [--device NAME] [--lang LANGUAGE] [--json]",
    "",
    "In brackets the environment variable, and the default:",
    ...rows,
    "",
    `The password is asked for, or read from ${PASSWORD_VARIABLE}; the session is remembered, so that the next start asks nothing.`,
    `A key for the endpoint of --ai-url is read from ${AI_KEY_VARIABLE}.`,
    "With input from a pipe, each line is sent, and the program ends when the last one has its receipt.",
  ].join("\n");
}

function parseFlags(argv: string[], { flags }: Texts): Given {
  const options: Record<string, { type: "string" | "boolean"; short?: string }> = {};
  for (const [name, option] of Object.entries(OPTIONS) as [string, Option][]) {
    options[name] = {
      type: option.value ? "string" : "boolean",
      ...(option.short && { short: option.short }),
    };
  }
  const given: Given = {};
  for (const token of parseArgs({ args: argv, options, strict: false, tokens: true }).tokens) {
    if (token.kind === "positional") throw new ConfigError(flags.extra(token.value));
    if (token.kind !== "option") continue;
    const { name, rawName, value, inlineValue } = token;
    const type = options[name]?.type;
    if (!type) throw new ConfigError(flags.unknown(rawName));
    if (type === "boolean" && value !== undefined) throw new ConfigError(flags.noSwitch(rawName, value));
    // What looks like the next flag is one.
    const isMissing = value === undefined || (!inlineValue && value.startsWith("-"));
    if (type === "string" && isMissing) throw new ConfigError(flags.missing(rawName, wantOf(name, flags)));
    given[name] = value ?? true;
  }
  return given;
}

function read(
  name: "route" | "user" | "device" | "lang" | "ai-url" | "ai-model",
  given: Given,
  env: Env,
  { flags }: Texts,
): string {
  const option: Option = OPTIONS[name];
  const flag = given[name];
  const variable = option.env && env[option.env] ? option.env : undefined;
  const value = typeof flag === "string" ? flag : variable ? env[variable] : option.default;
  if (value === undefined && option.optional) return "";
  if (value === undefined) throw new ConfigError(flags.missing(`--${name}`, wantOf(name, flags)));
  if (option.accepts!(value)) return value;
  const source = typeof flag !== "string" && variable ? `${variable}=` : `--${name} `;
  throw new ConfigError(flags.wrong(`${source}${value}`, wantOf(name, flags)));
}

function wantOf(name: string, { wants }: Texts["flags"]): string {
  return wants[(OPTIONS as Record<string, Option>)[name]!.want!];
}

function isName(given: string): boolean {
  const length = [...given.normalize("NFC").trim()].length;
  return length >= 1 && length <= MAX_NAME_LENGTH;
}
