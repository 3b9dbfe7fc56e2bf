import { en } from "./en.ts";
import type { Texts } from "./texts.ts";
import { zhCN } from "./zh-CN.ts";

/** Adding a language is a file and a line here. */
export const LANGUAGES = { en, "zh-CN": zhCN } as const satisfies Record<string, Texts>;

export type Language = keyof typeof LANGUAGES;

/** The language that the locale asks for (POSIX: LC_ALL before LC_MESSAGES before LANG); English for any other. */
export function languageOf(env: Record<string, string | undefined>): Language {
  const locale = env.LC_ALL || env.LC_MESSAGES || env.LANG || "";
  return /^zh([_.@-]|$)/i.test(locale) ? "zh-CN" : "en";
}
