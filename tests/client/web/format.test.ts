import { describe, expect, test } from "bun:test";
import { brief, clock, day, hueOf, initial, nameOf } from "../../../client/web/format.ts";
import { en } from "../../../client/web/texts/en.ts";
import { zhCN } from "../../../client/web/texts/zh-CN.ts";

const NOW = new Date(2026, 4, 20, 12, 0);
const at = (month: number, date: number, year = 2026) => new Date(year, month, date, 9, 5);

describe("a day is called", () => {
  for (const [when, inEnglish, inChinese] of [
    [at(4, 20), "Today", "今天"],
    [at(4, 19), "Yesterday", "昨天"],
    [at(4, 18), "Monday, May 18", "5月18日星期一"],
    [at(11, 31, 2025), "Wednesday, December 31, 2025", "2025年12月31日星期三"],
  ] as const) {
    test(`${inEnglish}, ${inChinese}`, () => {
      expect([day(when, en, NOW), day(when, zhCN, NOW)]).toEqual([inEnglish, inChinese]);
    });
  }
});

test("a time is short: the clock today, the date before", () => {
  expect([clock(at(4, 20), en), brief(at(4, 20), en, NOW), brief(at(4, 18), en, NOW)]).toEqual([
    "09:05",
    "09:05",
    "May 18",
  ]);
});

test("a name is the account's, else its id, and everyone has one too", () => {
  expect([
    nameOf({ userId: 7, userName: "bob" }, en),
    nameOf({ userId: 7, userName: "" }, en),
    nameOf({ userId: 7, userName: "" }, zhCN),
    nameOf(null, zhCN),
  ]).toEqual(["bob", "User 7", "用户 7", "所有人"]);
});

test("an initial is a whole character as people see it", () => {
  expect(["ann", "李娜", "👩‍👩‍👧 family", "é", ""].map(initial)).toEqual(["A", "李", "👩‍👩‍👧", "É", ""]);
});

test("an account keeps its colour, and neighbours have others", () => {
  expect([hueOf(1), hueOf(2), hueOf(1)]).toEqual([138, 275, 138]);
});
