import { expect, test } from "bun:test";
import { answer } from "../../../client/console/bot.ts";

test.each([
  ["are you ok?", "I am ok!"],
  ["Can I help you?", "You can help me!"],
  ["do you like my hat?", "I like your hat!"],
  ["is it late", "is it late!"],
  ["what is this?", "What is this!"],
  ["hello.", "hello!"],
  ["你好吗？", "我好！"],
  ["你是不是机器人？", "我是机器人！"],
  ["在吗", "在！"],
])("%p is answered %p", (question, said) => {
  expect(answer(question)).toBe(said);
});
