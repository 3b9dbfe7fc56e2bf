import { afterEach, beforeEach, expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { encodeFrame } from "../../proto/frame.ts";
import { Command, PagesSchema, SendSchema } from "../../proto/gen/cim_pb.ts";
import { accept, delivery, encoded } from "./far-route.ts";
import { type OpenServer, openTestServer } from "./open-server.ts";

let cim: OpenServer;

beforeEach(async () => {
  cim = await openTestServer();
});
afterEach(() => cim[Symbol.asyncDispose]());

test("a ping is answered with a pong of the same requestId", async () => {
  const wire = await cim.client();
  const pongs = [await wire.ping(0n), await wire.ping(7n), await wire.ping(-1n)];
  expect(pongs.map(({ cmd, text, requestId, body }) => [cmd, text, requestId, body.case])).toEqual([
    [Command.PING, "pong", 0n, undefined],
    [Command.PING, "pong", 7n, undefined],
    [Command.PING, "pong", -1n, undefined],
  ]);
});

test("what a client sends reaches the route unread, after its confirm, and the receipts come back", async () => {
  const wire = await cim.client({ userId: 2, sessionId: "s2" });
  wire.send("p2p:1:2", "hello", "world");
  const { receipts } = await wire.sent();
  expect(receipts.map(({ messageId, code, seq }) => [messageId, code, seq])).toEqual([
    ["hello", "9000", 1n],
    ["world", "9000", 2n],
  ]);
  const [confirm, send] = cim.route.items;
  expect([confirm!.body.case, send!.sessionId]).toEqual(["confirm", "s2"]);
  const { messages } = fromBinary(SendSchema, send!.body.value as Uint8Array);
  expect(messages.map(({ conversation, content }) => [conversation, content.value])).toEqual([
    ["p2p:1:2", "hello"],
    ["p2p:1:2", "world"],
  ]);
});

test("a sync is answered with the pages of the route", async () => {
  const page = { conversation: "p2p:1:2", through: 1n, head: 1n, messages: [encoded("p2p:1:2", 1, "hi")] };
  cim.route.answer = (item) =>
    item.body.case === "sync" ? { pages: toBinary(PagesSchema, create(PagesSchema, { pages: [page] })) } : {};
  const wire = await cim.client();
  wire.control({ case: "sync", value: { after: [{ conversation: "p2p:1:2" }] } });
  expect((await wire.pages()).pages).toMatchObject([page]);
  const { body } = await cim.route.next("sync");
  expect(
    body.case === "sync" && body.value.after.map(({ conversation, seq }) => [conversation, seq]),
  ).toEqual([["p2p:1:2", undefined]]);
});

test("a message is pushed to the users it names, with the same bytes for each", async () => {
  const [bob, cat, dan] = await Promise.all(
    [2, 3, 4].map((userId) => cim.client({ userId, sessionId: `s${userId}` })),
  );
  const taken = await cim.route.push(
    cim.httpPort,
    delivery("p2p:1:2", 1, "one", { userIds: [2n, 3n, 99n] }),
    delivery("p2p:1:2", 2, "two", { userIds: [2n, 3n] }),
  );
  const got = [await bob!.message(), await bob!.message(), await cat!.message(), await cat!.message()];
  expect([taken, ...got.map(({ seq, senderName, content }) => [seq, senderName, content.value])]).toEqual([
    2,
    [1n, "ann", "one"],
    [2n, "ann", "two"],
    [1n, "ann", "one"],
    [2n, "ann", "two"],
  ]);
  await dan!.ping();
  expect(dan!.frames).toEqual([]);
});

test("a message to everyone reaches everyone but the user or the session left out", async () => {
  const clients = await Promise.all(
    Array.from({ length: 150 }, (_, i) => cim.client({ userId: i + 1, sessionId: `s${i + 1}` })),
  );
  await cim.route.push(
    cim.httpPort,
    delivery("all", 1, "one", { everyone: true, exceptUserId: 1n }),
    delivery("all", 2, "two", { everyone: true, exceptSessionId: "s2" }),
  );
  await Promise.all(clients.map((client) => client.ping()));
  const seqs = await Promise.all(
    clients.map(async (client) => {
      const count = client.frames.length;
      return (await Promise.all(Array.from({ length: count }, () => client.message())))
        .map(({ seq }) => seq)
        .join();
    }),
  );
  expect([seqs[0], seqs[1], new Set(seqs.slice(2))]).toEqual(["2", "1", new Set(["1,2"])]);
});

test("acknowledgements reach the route gathered", async () => {
  const wire = await cim.client({ sessionId: "s2" });
  for (const seq of [1, 2, 3]) wire.ack("p2p:1:2", seq);
  wire.ack("all", 9);
  const { body, userId } = await cim.route.next("ack");
  const cursors =
    body.case === "ack" ? body.value.cursors.map(({ conversation, seq }) => [conversation, seq]) : [];
  expect([userId, cursors]).toEqual([
    2n,
    [
      ["p2p:1:2", 3n],
      ["all", 9n],
    ],
  ]);
});

test("a client that does not acknowledge is pushed 256 KiB, told that it lags once it has, and then pushed on", async () => {
  const wire = await cim.client();
  const text = "x".repeat(16 * 1024);
  for (let seq = 1; seq <= 40; seq++)
    await cim.route.push(cim.httpPort, delivery("p2p:1:2", seq, text, { userIds: [2n] }));
  await wire.ping();
  let last = 1;
  while (wire.frames.length > 0) last = Number((await wire.message()).seq);
  expect([last >= 15, last <= 17]).toEqual([true, true]);
  wire.ack("p2p:1:2", last);
  expect(await wire.body("lagging")).toMatchObject({ conversations: ["p2p:1:2"] });
  await cim.route.push(cim.httpPort, delivery("p2p:1:2", 41, "on", { userIds: [2n] }));
  expect((await wire.message()).seq).toBe(41n);
});

test("a send the route refuses is answered with the reason for each message", async () => {
  cim.route.answer = (item) =>
    item.body.case === "send" ? { code: "6000", text: "too many" } : accept(item);
  const wire = await cim.client();
  wire.send("p2p:1:2", "a", "b");
  const { receipts } = await wire.sent();
  expect(receipts.map(({ messageId, code, text }) => [messageId, code, text])).toEqual([
    ["a", "6000", "too many"],
    ["b", "6000", "too many"],
  ]);
});

test("while the route is away clients stay; what they sent and who came and went is told when it is back", async () => {
  const bob = await cim.client({ userId: 2, sessionId: "s2" });
  await cim.route.next("confirm");
  await cim.route.go();
  bob.send("p2p:1:2", "waits");
  bob.ack("p2p:1:2", 1);
  const cat = await cim.client({ userId: 3, sessionId: "s3" });
  cat.drop();
  expect((await bob.ping()).text).toBe("pong");
  cim.route.come();
  expect((await bob.sent()).receipts.map(({ code }) => code)).toEqual(["9000"]);
  await cim.route.next("release");
});

test("what no client says ends the connection and says what was wrong; neighbours are served on", async () => {
  const neighbour = await cim.client({ userId: 9, sessionId: "s9" });
  const long = "c".repeat(65);
  const control = { cmd: Command.CONTROL };
  const refused: Record<string, Uint8Array> = {
    "an empty frame": new Uint8Array(1),
    "a frame of 3 bytes that cannot be decoded": Uint8Array.of(3, 0xff, 0xff, 0xff),
    "frame of 65537 bytes, limit 65536": Uint8Array.of(0x81, 0x80, 0x04),
    "frame of 2097151 or more bytes, limit 65536": new Uint8Array(64).fill(0xff),
    "a frame with no body we know from a client": encodeFrame(control),
    "a frame with welcome from a client": encodeFrame({ ...control, body: { case: "welcome", value: {} } }),
    "a frame of command 1 after the login": encodeFrame({ cmd: Command.MESSAGE, text: "hi" }),
    "a frame of command 99 after the login": encodeFrame({ cmd: 99 as Command }),
    "a conversation's name of 65 characters, limit 64": encodeFrame({
      ...control,
      body: { case: "ack", value: { cursors: [{ conversation: long, seq: 1n }] } },
    }),
    "an acknowledgement that cannot be decoded: a number of 2^53 or more": encodeFrame({
      ...control,
      body: { case: "ack", value: { cursors: [{ conversation: "all", seq: 2n ** 64n - 1n }] } },
    }),
    "a sync of 101 conversations, limit 100": encodeFrame({
      ...control,
      body: { case: "sync", value: { after: Array.from({ length: 101 }, () => ({ conversation: "all" })) } },
    }),
  };
  for (const [text, bytes] of Object.entries(refused)) {
    const wire = await cim.client();
    wire.write(bytes);
    const goodbye = await wire.goodbye();
    await wire.ended;
    expect([goodbye.reason, goodbye.text.startsWith(text) || goodbye.text]).toEqual(["bad_frame", true]);
  }
  expect((await neighbour.ping()).text).toBe("pong");
});

test("more questions at once than a client has end the connection", async () => {
  await cim.route.go();
  const wire = await cim.client();
  for (let i = 0; i < 17; i++) wire.control({ case: "sync", value: {} });
  expect(await wire.goodbye()).toEqual({
    reason: "bad_frame",
    text: "more than 16 sends and syncs without an answer",
  });
  cim.route.come();
});

test("a sync that the route refuses ends the connection and says why", async () => {
  cim.route.answer = (item) => (item.body.case === "sync" ? { code: "9120", text: "not yours" } : {});
  const wire = await cim.client();
  wire.control({ case: "sync", value: { after: [{ conversation: "p2p:7:8" }] } });
  expect(await wire.goodbye()).toEqual({
    reason: "bad_frame",
    text: "a sync that the route refused: not yours",
  });
});
