import { expect, test } from "bun:test";
import { Memory } from "../../../client/web/memory.ts";
import { Settings } from "../../../client/web/settings.ts";
import { en } from "../../../client/web/texts/en.ts";
import { zhCN } from "../../../client/web/texts/zh-CN.ts";

test("both languages say everything, each in its own words", () => {
  const flat = (texts: object): [string, string][] =>
    Object.entries(texts).flatMap(([name, text]) =>
      typeof text === "object"
        ? flat(text).map(([inner, value]): [string, string] => [`${name}.${inner}`, value])
        : [[name, typeof text === "function" ? String(text(3, 4)) : text]],
    );
  const [english, chinese] = [flat(en), flat(zhCN)];
  expect(chinese.map(([name]) => name)).toEqual(english.map(([name]) => name));
  const words = (texts: [string, string][]) =>
    texts.filter(([name, text]) => !["language", "otherLanguage"].includes(name) && /[a-z]{3}/i.test(text));
  expect(words(chinese)).toEqual([]);
  expect(english.filter(([name, text]) => name !== "otherLanguage" && /\p{Script=Han}/u.test(text))).toEqual(
    [],
  );
});

test("the browser's language is taken unless another was chosen", () => {
  const items = new Map<string, string>();
  const local = {
    getItem: (name: string) => items.get(name) ?? null,
    setItem: (name: string, value: string) => void items.set(name, value),
    removeItem: (name: string) => void items.delete(name),
  };
  const open = (language: string) => new Settings(new Memory({ local, tab: null, prefix: "/" }), language);
  const before = ["en-US", "zh-CN", "zh-Hant-TW", "de", "zhuang"].map(
    (language) => open(language).texts.language,
  );
  const settings = open("zh-CN");
  settings.switchLanguage();
  settings.switchTheme();
  const { texts, theme } = open("zh-CN");
  expect([before, texts.language, theme]).toEqual([["en", "zh-CN", "zh-CN", "en", "en"], "en", "light"]);
});
