import { describe, expect, test } from "bun:test";
import { type Part, partOf } from "../../route/range.ts";

describe("of a file of ten bytes", () => {
  const cases: [string | null, Part | "unsatisfiable" | null][] = [
    [null, null],
    ["bytes=0-", { from: 0, to: 10 }],
    ["bytes=3-", { from: 3, to: 10 }],
    ["bytes=3-3", { from: 3, to: 4 }],
    ["bytes=3-99", { from: 3, to: 10 }],
    ["bytes= 3 - 5", { from: 3, to: 6 }],
    ["bytes=-4", { from: 6, to: 10 }],
    ["bytes=-40", { from: 0, to: 10 }],
    ["bytes=9-", { from: 9, to: 10 }],
    ["bytes=10-", "unsatisfiable"],
    ["bytes=999999999999999-", "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    ["bytes=5-3", null],
    ["bytes=-", null],
    ["bytes=0-1,3-4", null],
    ["bytes=9999999999999999999999-", null],
    ["items=0-1", null],
    ["bytes=a-b", null],
  ];
  for (const [header, part] of cases) {
    test(`${header ?? "no range"} is ${part ? JSON.stringify(part) : "all of it"}`, () => {
      expect(partOf(header, 10)).toEqual(part);
    });
  }
});

test("an empty file has no part", () => {
  expect(["bytes=0-", "bytes=-1", "bytes=0-0"].map((header) => partOf(header, 0))).toEqual([
    "unsatisfiable",
    "unsatisfiable",
    "unsatisfiable",
  ]);
});
