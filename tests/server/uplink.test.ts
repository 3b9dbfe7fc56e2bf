import { beforeEach, expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { OutgoingSchema, SendSchema, SentSchema, SyncSchema } from "../../proto/gen/cim_pb.ts";
import {
  type UplinkItem,
  UplinkReplySchema,
  type UplinkResult,
  UplinkSchema,
} from "../../proto/gen/link_pb.ts";
import { MAX_WAITING_BYTES, Uplink } from "../../server/uplink.ts";
import type { Asked, Asker } from "../../server/uplink-queue.ts";
import type { ResultInit } from "./far-route.ts";
import { silent } from "./open-server.ts";

const SECOND = 1000;
const ANN = session(1);
const BOB = session(2);

let now: number;
let uplink: Uplink;
let busy: boolean;
/** Bytes of each call. */
let sizes: number[];
/** Calls that were made, in words, and how to end those that wait for their answer. */
let calls: string[][];
let waiting: { items: UplinkItem[]; end: PromiseWithResolvers<Uint8Array> }[];

class Noted implements Asker {
  gone = false;
  readonly heard: string[] = [];

  answered(asked: Asked, result: UplinkResult): void {
    const receipts = fromBinary(SentSchema, result.sent).receipts.map(
      ({ messageId, code }) => `${messageId}:${code}`,
    );
    this.heard.push([asked, result.code, ...receipts].join(" "));
  }
}

beforeEach(() => {
  now = 0;
  busy = false;
  calls = [];
  sizes = [];
  waiting = [];
  const post = (body: Uint8Array) => {
    const { items } = fromBinary(UplinkSchema, body);
    calls.push(items.map(inWords));
    sizes.push(body.length);
    const end = Promise.withResolvers<Uint8Array>();
    waiting.push({ items, end });
    return end.promise;
  };
  uplink = new Uplink({
    post,
    server: "h:1:2",
    bootId: "b",
    log: silent,
    clock: () => now,
    random: () => 0.5,
    busy: () => busy,
  });
});

test("what one event brings goes in one call, what comes meanwhile in the next, in order", async () => {
  const asker = new Noted();
  uplink.confirm(ANN, asker);
  uplink.send(ANN, send("m1"), asker);
  await settle();
  uplink.send(ANN, send("m2"), asker);
  uplink.sync(ANN, create(SyncSchema), asker);
  uplink.release(BOB);
  await settle();
  expect(calls).toEqual([["1 confirm", "1 send m1"]]);
  await answer();
  await answer();
  expect([calls, asker.heard]).toEqual([
    [
      ["1 confirm", "1 send m1"],
      ["1 send m2", "1 sync", "2 release"],
    ],
    ["send 9000 m1:9000", "send 9000 m2:9000", "sync 9000"],
  ]);
});

test("a call that failed is made again with the same items, after a while that grows; what came meanwhile follows", async () => {
  const asker = new Noted();
  uplink.confirm(ANN, asker);
  await settle();
  const retries: number[] = [];
  for (let i = 0; i < 4; i++) {
    await fail();
    uplink.send(ANN, send(`m${i}`), asker);
    const before = calls.length;
    const failedAt = now;
    while (calls.length === before) await tick(125);
    retries.push(now - failedAt);
  }
  expect([calls, retries]).toEqual([Array(5).fill(["1 confirm"]), [125, 250, 500, 1000]]);
  await answer();
  expect(calls.at(-1)).toEqual(["1 send m0", "1 send m1", "1 send m2", "1 send m3"]);
});

test("acknowledgements are gathered for a second: the latest of each session and conversation", async () => {
  await tick(1000);
  for (const seq of [1, 2, 5, 4]) uplink.ack(ANN, "a", seq);
  uplink.ack(ANN, "b", 1);
  uplink.ack(BOB, "a", 3);
  await tick(999);
  expect(calls).toEqual([]);
  await tick(1);
  expect(calls).toEqual([["1 ack a=5 b=1", "2 ack a=3"]]);
});

test("while the server is busy acknowledgements are gathered for up to four seconds more", async () => {
  await tick(SECOND);
  busy = true;
  uplink.ack(ANN, "a", 1);
  await tick(4 * SECOND);
  expect(calls).toEqual([]);
  await tick(SECOND);
  await answer();
  uplink.ack(ANN, "a", 2);
  busy = false;
  await tick(SECOND);
  expect(calls).toEqual([["1 ack a=1"], ["1 ack a=2"]]);
});

test("an urgent acknowledgement goes with the next call, and what the session gathered with it", async () => {
  await tick(250);
  uplink.ack(BOB, "b", 9);
  uplink.ack(ANN, "a", 1);
  uplink.ack(ANN, "b", 2, true);
  await settle();
  expect(calls).toEqual([["1 ack a=1 b=2"]]);
});

test("a session's acknowledgements go before its release", async () => {
  await tick(250);
  uplink.ack(ANN, "a", 7);
  uplink.release(ANN);
  await settle();
  expect(calls).toEqual([["1 ack a=7", "1 release"]]);
});

test("in minutes without a route, comings and goings and acknowledgements come down to what is true at the end", async () => {
  const asker = new Noted();
  uplink.confirm(BOB, asker);
  await settle();
  for (let i = 1; i <= 600; i++) {
    if (waiting.length > 0) await fail();
    uplink.release(ANN);
    uplink.confirm(ANN, asker);
    uplink.ack(ANN, "a", i);
    uplink.ack(BOB, "b", i);
    if (i === 600) uplink.release(BOB);
    await tick(SECOND);
  }
  if (waiting.length > 0) await fail();
  calls = [];
  while (waiting.length === 0) await tick(SECOND);
  while (waiting.length > 0) await answer();
  await tick(250);
  while (waiting.length > 0) await answer();
  expect(calls.flat()).toEqual(
    ["2 confirm", "2 ack b=600", "2 release", "1 confirm", "1 ack a=600"].sort(asCalled),
  );
});

test("a session that comes back before its release was told keeps it from being told", async () => {
  const asker = new Noted();
  uplink.confirm(BOB, asker);
  await settle();
  uplink.release(ANN);
  uplink.confirm(ANN, asker);
  await answer();
  expect(calls.at(-1)).toEqual(["1 confirm"]);
});

test("a send without an answer for ten seconds is answered 8000, once, and not made again", async () => {
  const [early, late] = [new Noted(), new Noted()];
  uplink.confirm(ANN, early);
  uplink.send(ANN, send("m1", "m2"), early);
  await settle();
  await fail();
  await tick(6 * SECOND);
  uplink.send(BOB, send("m3"), late);
  await fail();
  await tick(4100);
  expect([early.heard, late.heard]).toEqual([["send 8000 m1:8000 m2:8000"], []]);
  expect(calls.at(-1)).toEqual(["1 confirm"]);
  await answer();
  expect([calls.at(-1), early.heard.length]).toEqual([["2 send m3"], 1]);
  await tick(10 * SECOND);
  expect(late.heard).toEqual(["send 8000 m3:8000"]);
});

test("an answer that comes after the sender was told 8000 is not told a second time", async () => {
  const asker = new Noted();
  uplink.send(ANN, send("m1"), asker);
  await settle();
  await tick(11 * SECOND);
  await answer();
  expect(asker.heard).toEqual(["send 8000 m1:8000"]);
});

test("sends beyond what may wait are answered 8000 at once; taken ones make room", async () => {
  const asker = new Noted();
  uplink.confirm(ANN, asker);
  await settle();
  const large = send("m".repeat(60_000));
  const fitting = Math.floor(MAX_WAITING_BYTES / large.length);
  for (let i = 0; i < fitting; i++) uplink.send(ANN, large, asker);
  expect(asker.heard).toEqual([]);
  uplink.send(ANN, send("a".repeat(60_000)), asker);
  expect(asker.heard.map((line) => line.slice(0, 10))).toEqual(["send 8000 "]);
  await answer();
  await answer();
  uplink.send(ANN, large, asker);
  expect(asker.heard.filter((line) => line.startsWith("send 8000"))).toHaveLength(1);
});

test("a call holds no more than 512 KiB and 256 items", async () => {
  const asker = new Noted();
  const large = send("m".repeat(60_000));
  for (let i = 0; i < 20; i++) uplink.send(ANN, large, asker);
  for (let i = 0; i < 500; i++) uplink.sync(ANN, create(SyncSchema), asker);
  await settle();
  while (waiting.length > 0) await answer();
  expect(calls.map((items) => items.length)).toEqual([8, 8, 256, 248]);
});

// Nothing counted what acknowledgements take: clients that named conversations at random made a call that no route takes,
// which was made again for ever, and everyone else waited behind it.
test("acknowledgements of very many conversations, gathered or before a release, go in calls of no more than 2 MiB", async () => {
  const names = Array.from({ length: 1000 }, (_, i) => `${i}`.padEnd(64, "语"));
  const sessions = Array.from({ length: 100 }, (_, i) => session(i));
  for (const one of sessions) for (const name of names) uplink.ack(one, name, 1);
  for (const one of sessions.slice(50)) uplink.release(one);
  await tick(2 * SECOND);
  while (waiting.length > 0) await answer();
  const acknowledged = calls.flat().filter((item) => item.includes("ack"));
  expect([acknowledged.length, Math.max(...sizes) < 2 * 1024 * 1024]).toEqual([100, true]);
});

test("a confirm that is refused is told with its goodbye; one the route could not deal with is made again", async () => {
  const [kicked, lucky] = [new Noted(), new Noted()];
  uplink.confirm(ANN, kicked);
  uplink.confirm(BOB, lucky);
  await settle();
  await answer((item) => (item.userId === 1n ? { code: "9110", goodbye: "kicked" } : { code: "8000" }));
  expect([kicked.heard, lucky.heard]).toEqual([["confirm 9110"], []]);
  await tick(250);
  await answer();
  expect([calls.at(-1), lucky.heard]).toEqual([["2 confirm"], []]);
});

test("a release the route could not deal with is not made again once the session is back", async () => {
  const asker = new Noted();
  uplink.release(ANN);
  uplink.release(BOB);
  await settle();
  uplink.confirm(ANN, asker);
  await answer(() => ({ code: "8000" }));
  await answer();
  await tick(250);
  expect(calls).toEqual([["1 release", "2 release"], ["1 confirm"], ["2 release"]]);
});

test("a sync the route could not deal with is asked again; a send is answered with the reason for each message", async () => {
  const asker = new Noted();
  uplink.sync(ANN, create(SyncSchema), asker);
  uplink.send(ANN, send("m1", "m2"), asker);
  await settle();
  await answer(() => ({ code: "8000", text: "the disk is full" }));
  await tick(250);
  await answer();
  expect(asker.heard).toEqual(["send 8000 m1:8000 m2:8000", "sync 9000"]);
});

test("a sync of a connection that is gone is not asked", async () => {
  const [here, gone] = [new Noted(), new Noted()];
  uplink.confirm(BOB, here);
  await settle();
  uplink.sync(ANN, create(SyncSchema), gone);
  uplink.sync(BOB, create(SyncSchema), here);
  gone.gone = true;
  await answer();
  expect(calls.at(-1)).toEqual(["2 sync"]);
});

test("an answer that is no answer counts as none", async () => {
  const asker = new Noted();
  uplink.sync(ANN, create(SyncSchema), asker);
  await settle();
  waiting.shift()!.end.resolve(toBinary(UplinkReplySchema, create(UplinkReplySchema)));
  await settle();
  expect([uplink.trouble(), uplink.calls]).toEqual([
    "the route answered 0 of 1 items",
    { made: 1, failed: 1 },
  ]);
  await tick(250);
  await answer();
  expect([uplink.trouble(), asker.heard]).toEqual([null, ["sync 9000"]]);
});

test("closing hands over what waits, the acknowledgements too, and then makes no more calls", async () => {
  const asker = new Noted();
  uplink.confirm(BOB, asker);
  await settle();
  uplink.ack(ANN, "a", 4);
  uplink.release(ANN);
  const closed = uplink.close(60 * SECOND);
  await answer();
  await answer();
  await closed;
  uplink.release(BOB);
  await tick(SECOND);
  expect(calls).toEqual([["2 confirm"], ["1 ack a=4", "1 release"]]);
});

test("closing does not wait longer than it may", async () => {
  uplink.release(ANN);
  await settle();
  await uplink.close(1);
  expect(calls).toEqual([["1 release"]]);
});

function session(userId: number) {
  return { userId, userName: `user ${userId}`, sessionId: `s${userId}`, device: "" };
}

function send(...messageIds: string[]): Uint8Array {
  const messages = messageIds.map((messageId) => create(OutgoingSchema, { messageId }));
  return toBinary(SendSchema, create(SendSchema, { messages }));
}

function inWords({ userId, body }: UplinkItem): string {
  if (body.case === "ack")
    return [
      userId,
      "ack",
      ...body.value.cursors.map(({ conversation, seq }) => `${conversation}=${seq}`),
    ].join(" ");
  if (body.case !== "send") return `${userId} ${body.case}`;
  const ids = fromBinary(SendSchema, body.value).messages.map(({ messageId }) => messageId);
  return [userId, "send", ...ids].join(" ");
}

/** The oldest call is answered, each item accepted unless `result` says otherwise. */
async function answer(result: (item: UplinkItem) => ResultInit = () => ({})): Promise<void> {
  const { items, end } = waiting.shift()!;
  const results = items.map((item) => ({ code: "9000", ...accepted(item), ...(result(item) as object) }));
  for (const one of results) if (one.code !== "9000") one.sent = new Uint8Array();
  end.resolve(toBinary(UplinkReplySchema, create(UplinkReplySchema, { results })));
  await settle();
}

function accepted({ body }: UplinkItem): { sent?: Uint8Array<ArrayBuffer> } {
  if (body.case !== "send") return {};
  const receipts = fromBinary(SendSchema, body.value).messages.map(({ messageId }) => ({
    messageId,
    code: "9000",
  }));
  return { sent: toBinary(SentSchema, create(SentSchema, { receipts })) };
}

async function fail(): Promise<void> {
  waiting.shift()?.end.reject(new Error("down"));
  await settle();
}

async function tick(ms: number): Promise<void> {
  now += ms;
  uplink.tick();
  await settle();
}

/** Everything that is ready has run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Sessions have no order between them. */
function asCalled(a: string, b: string): number {
  return calls.flat().indexOf(a) - calls.flat().indexOf(b);
}
