import { beforeEach, expect, test } from "bun:test";
import type { Delivery } from "../../proto/downlink.ts";
import { Fanout, type Receiver, SLICE } from "../../server/fanout.ts";
import { Push } from "../../server/push.ts";

/** What a receiver got, "conversation:seq". */
class Noted implements Receiver {
  readonly got: string[] = [];
  readonly party;

  constructor(readonly userId: number) {
    const session = { userId, userName: "", sessionId: `s${userId}`, device: "" };
    this.party = { session, push: (push: Push) => void this.got.push(`${push.conversation}:${push.seq}`) };
  }
}

let everyone: Noted[];
let turns: (() => void)[];
let fanout: Fanout;

beforeEach(() => {
  everyone = Array.from({ length: 200 }, (_, i) => new Noted(i + 1));
  turns = [];
  const receivers = {
    ofUser: (userId: number) => everyone.slice(userId - 1, userId),
    all: () => everyone,
  };
  fanout = new Fanout(receivers, (turn) => turns.push(turn));
});

test("a message to a few is with them at once", async () => {
  await fanout.deliver([push("a", 1, { userIds: [1, 3, 999] })]);
  expect([got(1), got(2), got(3), turns.length]).toEqual([["a:1"], [], ["a:1"], 0]);
});

test("a message to everyone goes out in slices, and is done when the last of them is", async () => {
  let done = false;
  const delivered = fanout.deliver([push("all", 1, { everyone: true })]).then(() => {
    done = true;
  });
  const steps = [reached()];
  while (turns.length > 0) {
    await Promise.resolve();
    expect(done).toBe(false);
    turn();
    steps.push(reached());
  }
  await delivered;
  expect(steps).toEqual([SLICE, 2 * SLICE, 3 * SLICE, 200]);
});

test("a conversation's messages keep their order, across deliveries and whoever they are for", async () => {
  const deliveries = [
    fanout.deliver([push("all", 1, { everyone: true }), push("all", 2, { everyone: true })]),
    fanout.deliver([push("all", 3, { userIds: [5] }), push("p", 1, { userIds: [5] })]),
    fanout.deliver([push("all", 4, { everyone: true }), push("p", 2, { userIds: [5, 6] })]),
  ];
  while (turns.length > 0) turn();
  await Promise.all(deliveries);
  expect([got(5).filter(of("all")), got(5).filter(of("p")), got(6)]).toEqual([
    ["all:1", "all:2", "all:3", "all:4"],
    ["p:1", "p:2"],
    ["all:1", "all:2", "p:2", "all:4"].sort(byArrival(6)),
  ]);
  expect(new Set(everyone.filter(({ userId }) => userId > 6).map((one) => one.got.join()))).toEqual(
    new Set(["all:1,all:2,all:4"]),
  );
});

test("a private message does not wait for a broadcast that is under way", async () => {
  void fanout.deliver([push("all", 1, { everyone: true })]);
  const delivered = fanout.deliver([push("p", 1, { userIds: [200] })]);
  turn();
  await delivered;
  expect(got(200)).toEqual(["p:1"]);
});

test("two broadcasts share the turns", () => {
  const many = Array.from({ length: 200 }, (_, i) => i + 1);
  void fanout.deliver([push("group:1", 1, { userIds: many }), push("group:2", 1, { userIds: many })]);
  turn();
  expect([reached("group:1"), reached("group:2")]).toEqual([SLICE, SLICE]);
});

test("many private messages go out in slices, too", async () => {
  const pushes = Array.from({ length: 300 }, (_, i) => push(`p${i}`, 1, { userIds: [(i % 200) + 1] }));
  const delivered = fanout.deliver(pushes);
  let count = 1;
  for (; turns.length > 0; count++) turn();
  await delivered;
  expect([count > 5, everyone.reduce((sum, one) => sum + one.got.length, 0)]).toEqual([true, 300]);
});

test("neither the user left out nor the session left out gets it", async () => {
  void fanout.deliver([push("all", 1, { everyone: true, exceptUserId: 2 })]);
  void fanout.deliver([push("all", 2, { everyone: true, exceptSessionId: "s3" })]);
  while (turns.length > 0) turn();
  expect([got(1), got(2), got(3)]).toEqual([["all:1", "all:2"], ["all:2"], ["all:1"]]);
});

test("a broadcast that is handed over again while it is being written is written once, and done for both", async () => {
  const first = fanout.deliver([push("all", 1, { everyone: true })]);
  turn();
  const second = fanout.deliver([push("all", 1, { everyone: true }), push("all", 2, { everyone: true })]);
  while (turns.length > 0) turn();
  await Promise.all([first, second]);
  expect(new Set(everyone.map((one) => one.got.join()))).toEqual(new Set(["all:1,all:2"]));
  void fanout.deliver([push("all", 1, { everyone: true })]);
  while (turns.length > 0) turn();
  expect(got(1)).toEqual(["all:1", "all:2", "all:1"]);
});

test("who leaves in between is left out, who comes may be; nobody else is skipped", async () => {
  const members = new Set(everyone);
  fanout = new Fanout({ ofUser: () => [], all: () => members.values() }, (next) => turns.push(next));
  const delivered = fanout.deliver([push("all", 1, { everyone: true })]);
  members.delete(everyone[0]!);
  members.delete(everyone[150]!);
  while (turns.length > 0) turn();
  await delivered;
  expect(everyone.filter((one) => one.got.length === 0).map(({ userId }) => userId)).toEqual([151]);
});

test("nothing to deliver is done at once", async () => {
  await fanout.deliver([]);
  expect(turns).toEqual([]);
});

function push(conversation: string, seq: number, to: Partial<Delivery>): Push {
  const nobody = { everyone: false, userIds: [], exceptUserId: 0, exceptSessionId: "" };
  return new Push({ message: new Uint8Array(), conversation, seq, ...nobody, ...to });
}

function got(userId: number): string[] {
  return everyone[userId - 1]!.got;
}

function reached(conversation?: string): number {
  return everyone.filter((one) => one.got.some((name) => !conversation || of(conversation)(name))).length;
}

function of(conversation: string): (name: string) => boolean {
  return (name) => name.startsWith(`${conversation}:`);
}

/** Conversations have no order between them. */
function byArrival(userId: number): (a: string, b: string) => number {
  return (a, b) => got(userId).indexOf(a) - got(userId).indexOf(b);
}

function turn(): void {
  turns.shift()!();
}
