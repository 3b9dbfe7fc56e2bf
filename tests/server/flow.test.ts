import { expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { CursorSchema } from "../../proto/gen/cim_pb.ts";
import { Flow, MAX_UNACKNOWLEDGED_BYTES } from "../../server/flow.ts";

const QUARTER = MAX_UNACKNOWLEDGED_BYTES / 4;

function acks(...places: [conversation: string, seq: number][]) {
  return places.map(([conversation, seq]) => create(CursorSchema, { conversation, seq: BigInt(seq) }));
}

function full(): Flow {
  const flow = new Flow();
  flow.pushed("a", 1, QUARTER, 0);
  for (const seq of [1, 2, 3]) flow.pushed("b", seq, QUARTER, 0);
  flow.leftOut("b", false, 0);
  return flow;
}

// One word for everything took off the first push alone, and no other word followed: the client was pushed nothing more.
test("a client that acknowledges everything at once is pushed on, whichever conversation it names first", () => {
  for (const word of [acks(["a", 1], ["b", 3]), acks(["b", 3], ["a", 1])]) {
    const flow = full();
    expect([flow.open, flow.resume()]).toEqual([false, null]);
    flow.acknowledged(word, 1);
    expect([flow.resume(), flow.open, flow.settled]).toEqual([["b"], true, true]);
  }
});

test("an acknowledgement of a part frees that part", () => {
  const flow = full();
  flow.acknowledged(acks(["a", 1]), 1);
  expect([flow.resume(), flow.open]).toEqual([null, false]);
  flow.acknowledged(acks(["b", 2]), 2);
  expect(flow.resume()).toBeNull();
  flow.acknowledged(acks(["b", 3]), 3);
  expect([flow.resume(), flow.open, flow.settled]).toEqual([["b"], true, true]);
});
