import { afterAll, beforeAll, expect, test } from "bun:test";
import { Here, read } from "./here.ts";

let here: Here;
let names = 0;
const someone = () => `user${names++}`;

beforeAll(async () => {
  here = await Here.open();
  await here.server();
});
afterAll(() => here[Symbol.asyncDispose]());

test("what one sends, the other reads, in order, with who and when", async () => {
  await using alice = await here.client(someone());
  await using bob = await here.client(someone());
  const receipts = await Promise.all(["one", "two", "三"].map((text) => alice.sendTo(bob.userId, text)));
  expect(await read(bob, 3)).toEqual(["one", "two", "三"]);
  expect(receipts.map(({ seq, receiverOnline }) => [seq, receiverOnline])).toEqual([
    [1, true],
    [2, true],
    [3, true],
  ]);
});
