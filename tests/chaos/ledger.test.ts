/** A judge that finds nothing proves nothing: each kind of violation is found. */
import { expect, test } from "bun:test";
import type { Deed, Entry } from "./journal.ts";
import { Ledger } from "./ledger.ts";
import type { Span } from "./violation.ts";

const ALICE = "alice";
const BOB = "bob";
const CAROL = "carol";
const CAROLS_PHONE = "carol/2";
const EVERYONE = [ALICE, BOB, CAROL].map((name, i) => ({ name, userId: i + 1 }));
const CHAT = "p2p:1:2";

/** Everything a run wrote down, a millisecond between the lines, and what the ledger says of it. */
function judge(lines: [string, Deed][], broken: readonly Span[] = [], participants = EVERYONE): string[] {
  const ledger = new Ledger(participants);
  for (const [at, [client, deed]] of lines.entries()) ledger.add({ at, client, ...deed } as Entry);
  ledger.close(broken);
  return ledger.violations.map(({ kind, client, messageId }) => `${kind}: ${client} ${messageId}`);
}

function sent(client: string, id: string, seq: number | null, conversation = CHAT): [string, Deed][] {
  const outcome: Deed =
    seq === null
      ? { is: "failed", conversation, id, why: "no receipt" }
      : { is: "accepted", conversation, id, seq };
  return [
    [client, { is: "sends", conversation, id }],
    [client, outcome],
  ];
}

function got(client: string, id: string, seq: number, conversation = CHAT): [string, Deed] {
  return [client, { is: "receives", conversation, id, seq }];
}

test("nothing is wrong when all that was accepted arrived, once and in order, but for one's own", () => {
  const run = [
    ...sent(ALICE, "a1", 1),
    ...sent(BOB, "b1", 2),
    ...sent(ALICE, "a2", 3),
    got(BOB, "a1", 1),
    got(ALICE, "b1", 2),
    got(BOB, "a2", 3),
    ...sent(CAROL, "c1", 1, "all"),
    got(ALICE, "c1", 1, "all"),
    got(BOB, "c1", 1, "all"),
  ];
  expect(judge(run)).toEqual([]);
});

test("a failed message may be there or not, and at most once", () => {
  expect(judge([...sent(ALICE, "a1", null), ...sent(ALICE, "a2", 1), got(BOB, "a2", 1)])).toEqual([]);
  expect(judge([...sent(ALICE, "a1", null), got(BOB, "a1", 1)])).toEqual([]);
  expect(judge([...sent(ALICE, "a1", null), got(BOB, "a1", 1), got(BOB, "a1", 1)])).toEqual([
    "twice: bob a1",
  ]);
});

test("a message after which nothing came, and one that was passed over, are lost", () => {
  expect(judge([...sent(ALICE, "a1", 1)])).toEqual(["lost: bob a1"]);
  expect(judge([...sent(ALICE, "a1", 1), ...sent(ALICE, "a2", 2), got(BOB, "a2", 2)])).toEqual([
    "lost: bob a1",
  ]);
});

test("a message to all is lost for each who does not have it", () => {
  expect(judge([...sent(ALICE, "a1", 1, "all"), got(CAROL, "a1", 1, "all")])).toEqual(["lost: bob a1"]);
});

test("each device of a user gets everything, also what another one sent", () => {
  const devices = [...EVERYONE, { name: CAROLS_PHONE, userId: 3 }];
  const run = [...sent(CAROL, "c1", 1, "p2p:2:3"), got(BOB, "c1", 1, "p2p:2:3")];
  expect(judge(run, [], devices)).toEqual(["lost: carol/2 c1"]);
});

test("what failed and is with others is missed like any other", () => {
  expect(judge([...sent(ALICE, "a1", null, "all"), got(CAROL, "a1", 1, "all")])).toEqual(["hole: bob a1"]);
});

test("a message received again is twice, one received after a later one is out of order", () => {
  const both = [...sent(ALICE, "a1", 1), ...sent(ALICE, "a2", 2)];
  expect(judge([...both, got(BOB, "a1", 1), got(BOB, "a2", 2), got(BOB, "a1", 1)])).toEqual([
    "twice: bob a1",
  ]);
  expect(judge([...both, got(BOB, "a2", 2), got(BOB, "a1", 1)])).toEqual(["out of order: bob a1"]);
});

test("two messages with one seq, and one message with two, are misplaced", () => {
  const two = [...sent(ALICE, "a1", 1), ...sent(BOB, "b1", 1), got(BOB, "a1", 1)];
  expect(judge(two)).toContain("misplaced: bob b1");
  const twice = [...sent(ALICE, "a1", 1), got(BOB, "a1", 1), got(BOB, "a1", 2)];
  expect(judge(twice)).toEqual(["misplaced: alice a1"]);
});

test("a later message of a sender that stands before an earlier one is reordered", () => {
  const run = [...sent(ALICE, "a1", 2), ...sent(ALICE, "a2", 1), got(BOB, "a2", 1), got(BOB, "a1", 2)];
  expect(judge(run)).toEqual(["reordered: alice a2"]);
});

test("a message nobody sent is wrong", () => {
  expect(judge([got(BOB, "x1", 1)])).toContain("wrong: undefined x1");
});

test("a client that gave up is told of once, and misses nothing any more", () => {
  const run: [string, Deed][] = [[BOB, { is: "ended", why: "kicked" }], ...sent(ALICE, "a1", 1)];
  expect(judge(run)).toEqual(["gave up: bob undefined"]);
});

test("a message without an outcome is stuck when nothing was broken for 15 s", () => {
  const [sends, failed] = sent(ALICE, "a1", null) as [[string, Deed], [string, Deed]];
  const waits = Array.from({ length: 20_000 }, (): [string, Deed] => [BOB, { is: "token", token: "" }]);
  const run = [sends, ...waits, failed];
  expect([judge(run), judge(run, [{ from: 0, to: 4000 }]), judge(run, [{ from: 0, to: 6000 }])]).toEqual([
    ["stuck: alice a1"],
    ["stuck: alice a1"],
    [],
  ]);
});
