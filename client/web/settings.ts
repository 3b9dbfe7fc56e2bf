/** Language and theme: what the browser says, unless somebody chose otherwise. */
import type { Memory } from "./memory.ts";
import { en } from "./texts/en.ts";
import type { Texts } from "./texts/texts.ts";
import { zhCN } from "./texts/zh-CN.ts";

export type Theme = "system" | "light" | "dark";

const THEMES: readonly Theme[] = ["system", "light", "dark"];

export class Settings {
  texts: Texts;
  theme: Theme;
  readonly #memory: Memory;

  /** @param preferred as navigator.language */
  constructor(memory: Memory, preferred: string) {
    this.#memory = memory;
    const language = memory.setting("language") ?? preferred;
    this.texts = /^zh\b/i.test(language) ? zhCN : en;
    this.theme = THEMES.find((theme) => theme === memory.setting("theme")) ?? "system";
  }

  switchLanguage(): void {
    this.texts = this.texts === en ? zhCN : en;
    this.#memory.setSetting("language", this.texts.language);
  }

  switchTheme(): void {
    this.theme = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length]!;
    this.#memory.setSetting("theme", this.theme);
  }
}
