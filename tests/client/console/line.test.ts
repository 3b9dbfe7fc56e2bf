import { expect, test } from "bun:test";
import { type Line, parseLine } from "../../../client/console/line.ts";
import { Mistake } from "../../../client/console/problem.ts";

function parse(line: string): Line | string {
  try {
    return parseLine(line);
  } catch (error) {
    if (error instanceof Mistake) return error.problem.what;
    throw error;
  }
}

test.each<[string, Line | string]>([
  ["", { kind: "nothing" }],
  ["   ", { kind: "nothing" }],
  ["hello there", { kind: "say", text: "hello there" }],
  ["  你好  ", { kind: "say", text: "你好" }],
  [":q", { kind: "command", name: "q", rest: "" }],
  [":q!", { kind: "command", name: "q!", rest: "" }],
  [":Q key word ", { kind: "command", name: "q", rest: "key word" }],
  [":delay see you 10", { kind: "command", name: "delay", rest: "see you 10" }],
  [":nonsense", { kind: "command", name: "nonsense", rest: "" }],
  [":)", { kind: "say", text: ":)" }],
  [": no command", { kind: "say", text: ": no command" }],
  ["7;;hi", { kind: "tell", to: "7", text: "hi" }],
  ["张 三 ;; 你好", { kind: "tell", to: "张 三", text: "你好" }],
  [";;hi", "no-receiver"],
  ["7;;", "no-text"],
  ["7;;  ", "no-text"],
])("%p is understood", (line, meaning) => {
  expect(parse(line)).toEqual(meaning);
});

// CIM v2 cut the text at the second separator (fault 24).
test("text after a second ;; is kept", () => {
  expect(parse("7;;a;;b;;")).toEqual({ kind: "tell", to: "7", text: "a;;b;;" });
});
