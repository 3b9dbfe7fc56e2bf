/** The console's own settings: each a flag, some an environment variable as well. What they mean is in texts/. */
import { parseArgs } from "node:util";
import { ConfigError } from "../../common/config.ts";
import type { ModelOptions } from "./model.ts";
import { LANGUAGES, type Language, languageOf } from "./texts/language.ts";
import type { Texts } from "./texts/texts.ts";

export interface Option {
  /** What stands behind the flag in --help; "" for a switch. */
  value: string;
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
    env: "CIM_ROUTE_URL",
    default: "http://127.0.0.1:8083",
    want: "url",
    accepts: (given) => /^https?:$/.test(URL.parse(given)?.protocol ?? ""),
  },
  user: {
    value: "NAME",
    env: "CIM_USER",
    want: "name",
    accepts: isName,
  },
  device: {
    value: "NAME",
    env: "CIM_DEVICE",
    default: "default",
    want: "name",
    accepts: isName,
  },
  lang: {
    value: "LANGUAGE",
    want: "language",
    accepts: (given) => Object.hasOwn(LANGUAGES, given),
    optional: true,
  },
  "ai-url": {
    value: "URL",
    env: "CIM_AI_URL",
    want: "url",
    accepts: (given) => /^https?:$/.test(URL.parse(given)?.protocol ?? ""),
    optional: true,
  },
  "ai-model": {
    value: "NAME",
    env: "CIM_AI_MODEL",
    default: "gpt-4o-mini",
    want: "model",
    accepts: (given) => /^.{1,200}$/u.test(given),
  },
  "new-password": { value: "" },
  json: { value: "" },
  help: { value: "", short: "h" },
  version: { value: "", short: "v" },
} as const satisfies Record<string, Option>;

export type OptionName = keyof typeof OPTIONS;

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
export function spoken(argv: string[], env: Env): { language: Language; texts: Texts } {
  const { values } = parseArgs({ args: argv, options: { lang: { type: "string" } }, strict: false });
  const lang = String(values.lang);
  const language = Object.hasOwn(LANGUAGES, lang) ? (lang as Language) : languageOf(env);
  return { language, texts: LANGUAGES[language] };
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
