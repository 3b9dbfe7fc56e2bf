import { afterEach, beforeEach, expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Command, type Frame, PagesSchema, type Sync } from "../../proto/gen/cim_pb.ts";
import { encodeMessage, withSeq } from "../../proto/message.ts";
import { accept, delivery, encoded } from "./far-route.ts";
import { type OpenServer, openTestServer } from "./open-server.ts";

/** The log of the route, and what the device has acknowledged. */
let logs: Map<string, Uint8Array<ArrayBuffer>[]>;
let cursors: Map<string, number>;
let cim: OpenServer;

beforeEach(async () => {
  logs = new Map();
  cursors = new Map();
  cim = await openTestServer({ CIM_AUTH: "open" });
  cim.route.answer = (item) => {
    if (item.body.case === "sync") return { pages: pagesFor(item.body.value) };
    if (item.body.case === "ack")
      for (const { conversation, seq } of item.body.value.cursors) cursors.set(conversation, Number(seq));
    return accept(item);
  };
});
afterEach(() => cim[Symbol.asyncDispose]());

test("a login without a token is adopted by the route, which says what session it is, and answered nothing", async () => {
  const wire = await cim.v2(2, "bob");
  expect(await cim.route.next("adopt")).toMatchObject({ userId: 2n, userName: "bob", sessionId: "" });
  expect(wire.frames).toEqual([]);
  wire.drop();
  expect(await cim.route.next("release")).toMatchObject({ userId: 2n, sessionId: "adopted-2", device: "v2" });
});

test("a login that the route does not know is closed and told nothing", async () => {
  cim.route.answer = () => ({ code: "9100", text: "no claim" });
  const wire = await cim.connect();
  wire.frame({ requestId: 2n, text: "bob" });
  await wire.ended;
  expect(wire.frames).toEqual([]);
});

test("one whose connection is gone before the answer is released", async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  cim.route.answer = async (item) => {
    if (item.body.case === "adopt") {
      asked.resolve();
      await answer.promise;
    }
    return accept(item);
  };
  const wire = await cim.connect();
  wire.frame({ requestId: 2n, text: "bob" });
  await asked.promise;
  wire.drop();
  while ((await connections()) > 0) await Bun.sleep(1);
  answer.resolve();
  expect(await cim.route.next("release")).toMatchObject({ sessionId: "adopted-2" });
});

test("a message is written in CIM v2's fields alone, to each receiver with its own name on it, and acknowledged", async () => {
  const [bob, cat] = [await cim.v2(2), await cim.v2(3)];
  await write("all", { everyone: true }, "hello");
  const frames = [await bob.next(), await cat.next()];
  expect(frames.map(shown)).toEqual([
    { cmd: "MESSAGE", requestId: 2n, text: "hello", batch: [], from: "1 ann", to: "2", body: undefined },
    { cmd: "MESSAGE", requestId: 3n, text: "hello", batch: [], from: "1 ann", to: "3", body: undefined },
  ]);
  const acks = [await cim.route.next("ack"), await cim.route.next("ack")];
  expect(acks.map(({ userId }) => userId).sort()).toEqual([2n, 3n]);
  expect([...cursors]).toEqual([["all", 1]]);
});

test("the next of a conversation is live, one that was written before is not written again", async () => {
  const bob = await cim.v2(2);
  for (const text of ["one", "two", "three"]) await write("p2p:1:2", { userIds: [2n] }, text);
  await cim.route.push(cim.httpPort, delivery("p2p:1:2", 2, "two", { userIds: [2n] }));
  await write("p2p:1:2", { userIds: [2n] }, "four");
  const frames = [await bob.next(), await bob.next(), await bob.next(), await bob.next()];
  expect(frames.map(({ cmd, text }) => `${Command[cmd]} ${text}`)).toEqual([
    "MESSAGE one",
    "MESSAGE two",
    "MESSAGE three",
    "MESSAGE four",
  ]);
  expect(cim.route.items.map(({ body }) => body.case)).not.toContain("sync");
});

test("what was missed before a live message comes first, as kept ones, one frame for each run of a sender", async () => {
  const bob = await cim.v2(2);
  keep("all", ["seen"], 1);
  keep("all", ["a1", "a2"], 1);
  keep("all", ["b1"], 3);
  keep("all", ["own"], 2);
  keep("all", ["b2", "b3"], 3);
  cursors.set("all", 1);
  await write("all", { everyone: true }, "live");
  const frames = [await bob.next(), await bob.next(), await bob.next()].map(shown);
  expect(frames).toMatchObject([
    { cmd: "OFFLINE", requestId: 2n, text: "", batch: ["a1", "a2"], from: "1 ann", to: "2" },
    // An own message is left out, and does not part a run.
    { cmd: "OFFLINE", batch: ["b1", "b2", "b3"], from: "3 user 3", to: "2" },
    { cmd: "MESSAGE", text: "live", batch: [], from: "1 ann", to: "2" },
  ]);
  await cim.route.next("ack");
  expect(cursors.get("all")).toBe(8);
});

test("a hole is filled before what follows it, and what is pushed meanwhile waits its turn", async () => {
  const bob = await cim.v2(2);
  await write("p2p:1:2", { userIds: [2n] }, "1");
  expect((await bob.next()).text).toBe("1");
  keep("p2p:1:2", ["2", "3"], 1);
  const held = Promise.withResolvers<void>();
  const { answer } = cim.route;
  cim.route.answer = async (item) => {
    if (item.body.case === "sync") await held.promise;
    return answer(item);
  };
  for (const text of ["4", "5"]) await write("p2p:1:2", { userIds: [2n] }, text);
  held.resolve();
  const frames = [await bob.next(), await bob.next(), await bob.next()];
  expect(frames.map(({ cmd, text, batch }) => [Command[cmd], text || batch.join()])).toEqual([
    ["OFFLINE", "2,3"],
    ["MESSAGE", "4"],
    ["MESSAGE", "5"],
  ]);
});

test("catching up brings all that was kept, page after page, once however often it is asked for", async () => {
  const conversations = ["all", "p2p:1:2", "p2p:2:3"];
  const texts = (of: string) => Array.from({ length: 25 }, (_, i) => `${of} ${i}`);
  for (const conversation of conversations) keep(conversation, texts(conversation), 1);
  const bob = await cim.v2(2);
  const ask = { body: { case: "catchUp" as const, value: { userId: 2n } } };
  await Promise.all([1, 2, 3].map(() => cim.route.push(cim.httpPort, ask)));
  const got: string[] = [];
  while (got.length < 75) got.push(...(await bob.next()).batch);
  await cim.route.push(cim.httpPort, ask);
  await cim.route.next("sync");
  await bob.ping();
  const of = (conversation: string) => got.filter((text) => text.startsWith(`${conversation} `));
  expect([conversations.map(of), bob.frames]).toEqual([conversations.map(texts), []]);
});

test("data is shown as base64, and a name or text of any script as it is", async () => {
  const bob = await cim.v2(2, "李四");
  const content = { case: "data" as const, value: Uint8Array.of(0, 255, 16) };
  const message = { conversation: "p2p:1:2", senderId: 1, senderName: "张三 🙂", content };
  const bytes = withSeq(encodeMessage({ ...message, messageId: "", at: 0 }), 1) as Uint8Array<ArrayBuffer>;
  await cim.route.push(cim.httpPort, {
    body: { case: "delivery", value: { message: bytes, conversation: "p2p:1:2", seq: 1n, userIds: [2n] } },
  });
  expect(shown(await bob.next())).toMatchObject({ text: "AP8Q", from: "1 张三 🙂", to: "2" });
});

test("an own message is not written, but counts", async () => {
  const bob = await cim.v2(2);
  keep("p2p:1:2", ["mine"], 2);
  await cim.route.push(cim.httpPort, {
    body: {
      case: "delivery",
      value: { message: logs.get("p2p:1:2")![0]!, conversation: "p2p:1:2", seq: 1n, userIds: [2n] },
    },
  });
  await write("p2p:1:2", { userIds: [2n] }, "yours");
  expect(shown(await bob.next())).toMatchObject({ cmd: "MESSAGE", text: "yours" });
});

test("a reader that stands still is written no more than fits, and reads on from the log, in order and once", async () => {
  const bob = await cim.v2(2);
  bob.pause();
  const texts = Array.from({ length: 400 }, (_, i) => `${i} ${"x".repeat(20_000)}`);
  for (const text of texts) await write("p2p:1:2", { userIds: [2n] }, text);
  // Nothing is fetched that could not be written.
  expect(cim.route.items.map(({ body }) => body.case)).not.toContain("sync");
  bob.resume();
  const got: string[] = [];
  while (got.length < texts.length) {
    const { text, batch } = await bob.next();
    got.push(...(text ? [text] : batch));
  }
  expect(got.map((text) => text.slice(0, 4))).toEqual(texts.map((text) => text.slice(0, 4)));
});

test("anything but a ping ends its connection, without a word", async () => {
  for (const frame of [
    { cmd: Command.MESSAGE, text: "hi" },
    { cmd: Command.LOGIN, requestId: 2n, text: "bob" },
  ]) {
    const bob = await cim.v2(2);
    bob.frame(frame);
    await bob.ended;
    expect(bob.frames).toEqual([]);
  }
});

function keep(conversation: string, texts: string[], senderId: number): void {
  const log = logs.get(conversation) ?? [];
  logs.set(conversation, log);
  for (const text of texts) log.push(encoded(conversation, log.length + 1, text, senderId));
}

/** Into the log, and pushed. */
async function write(conversation: string, to: Parameters<typeof delivery>[3], text: string): Promise<void> {
  keep(conversation, [text], 1);
  await cim.route.push(cim.httpPort, delivery(conversation, logs.get(conversation)!.length, text, to));
}

/** Pages of at most ten messages, and at most two conversations. */
function pagesFor({ after, from }: Sync): Uint8Array<ArrayBuffer> {
  const named = after.map(({ conversation, seq }) => ({
    conversation,
    after: Number(seq ?? cursors.get(conversation) ?? 0),
  }));
  const unread = [...logs.keys()]
    .sort()
    .filter((conversation) => conversation > from)
    .map((conversation) => ({ conversation, after: cursors.get(conversation) ?? 0 }))
    .filter((place) => place.after < logs.get(place.conversation)!.length);
  const wanted = named.length > 0 ? named : unread;
  const pages = wanted.slice(0, 2).map(({ conversation, after: place }) => {
    const log = logs.get(conversation) ?? [];
    const messages = log.slice(place, place + 10);
    const through = BigInt(place + messages.length);
    return { conversation, after: BigInt(place), through, head: BigInt(log.length), messages };
  });
  return toBinary(PagesSchema, create(PagesSchema, { pages, more: wanted.length > 2 }));
}

function shown({ cmd, requestId, text, batch, properties, body }: Frame) {
  const { sendUserId, sendUserName, receiveUserId } = properties;
  const from = `${sendUserId} ${sendUserName}`;
  return { cmd: Command[cmd], requestId, text, batch, from, to: receiveUserId, body: body.case };
}

async function connections(): Promise<number> {
  const metrics = await (await fetch(`${cim.httpUrl}/metrics`)).text();
  return Number(/^cim_connections (\d+)$/m.exec(metrics)?.[1]);
}
