import { expect, test } from "bun:test";
import { harmless, harmlessLine } from "../../../client/console/harmless.ts";

test.each([
  ["plain, 你好, 👨‍👩‍👧 and é", "plain, 你好, 👨‍👩‍👧 and é"],
  ["\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇"],
  ["a\rb\bc\x00\x7f", "a␍b␈c␀␡"],
  ["\x9b31m\x85", "\\u{9b}31m\\u{85}"],
  ["\u202egnp.exe\u2066\u2028\u200f", "\\u{202e}gnp.exe\\u{2066}\\u{2028}\\u{200f}"],
  ["a\tb", "a    b"],
])("%j cannot do anything to a terminal", (text, shown) => {
  expect(harmless(text)).toBe(shown);
});

test("further lines of a text stand apart, so that none passes for a line of the console", () => {
  expect(harmless("one\r\ntwo\n> three")).toBe("one\n    two\n    > three");
});

test("a name never takes more than one line", () => {
  expect(harmlessLine("eve\n12:00:00 bob: hi")).toBe("eve 12:00:00 bob: hi");
});
