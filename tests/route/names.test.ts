import { describe, expect, test } from "bun:test";
import { checkName, checkPassword, normalName } from "../../route/names.ts";

describe("a name", () => {
  test.each([
    "x",
    "x".repeat(64),
    "🦊".repeat(64),
    "张三",
    "мария",
    "مريم",
    "मारिया",
    "👨‍👩‍👧‍👦",
    "O'Brien <b>&amp;</b>",
    "a b",
    "-",
    "cim-route:1",
  ])("may be %s", (name) => {
    expect(() => checkName(normalName(name))).not.toThrow();
  });

  test.each([
    ["", "0 characters, want 1 to 64"],
    [" \t\u3000\uFEFF ", "0 characters, want 1 to 64"],
    ["x".repeat(65), "65 characters, want 1 to 64"],
    ["🦊".repeat(65), "65 characters, want 1 to 64"],
    ["a\nb", "a name with U+000A in it"],
    ["a\u0000", "a name with U+0000 in it"],
    ["\u001b[31m", "a name with U+001B in it"],
    ["a\u0085b", "a name with U+0085 in it"],
    ["a\u2028b", "a name with U+2028 in it"],
    ["a\u2029b", "a name with U+2029 in it"],
    ["\u202Etxt", "a name with U+202E in it"],
    ["\u2066x\u2069", "a name with U+2066 in it"],
    ["a\ud800", "a lone surrogate, want well-formed Unicode"],
    ["\u200B", "want a letter, digit or sign that can be seen"],
  ])("may not be %j: %s", (name, why) => {
    expect(() => checkName(normalName(name))).toThrow(why);
  });

  test("has one spelling", () => {
    expect(normalName(" Zoe\u0308\u3000")).toBe("Zoë");
  });
});

test("a password has 8 characters at least, and 256 bytes at most", () => {
  const outcomes = ["1234567", "12345678", "🦊".repeat(8), "x".repeat(256), "é".repeat(129)].map(
    (password) => {
      try {
        checkPassword(password);
        return "taken";
      } catch (error) {
        return (error as Error).message;
      }
    },
  );
  expect(outcomes).toEqual([
    "7 characters, want at least 8",
    "taken",
    "taken",
    "taken",
    "258 bytes, limit 256",
  ]);
});

// To normalize takes the square of how many marks stand on one letter: one request with a megabyte of them held up the
// route for minutes.
test("what is far too long to be a name is refused as it came", () => {
  const marked = `a${"\u0300\u0323".repeat(40_000)}`;
  expect(() => checkName(normalName(` ${marked} `))).toThrow("80001 characters, want 1 to 64");
});

test("a name of 64 characters is one however it is spelled", () => {
  const longest = "\u1f82".repeat(64);
  expect(normalName(` ${longest.normalize("NFD")} `)).toBe(longest);
});
