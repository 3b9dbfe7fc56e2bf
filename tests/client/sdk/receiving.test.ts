import { describe, expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Connection } from "../../../client/sdk/connection.ts";
import { Receiving, type ReceivingOptions } from "../../../client/sdk/receiving.ts";
import type { Message } from "../../../client/sdk/types.ts";
import { Command, type Frame, FrameSchema, PagesSchema } from "../../../proto/gen/cim_pb.ts";
import { encodeMessage, withSeq } from "../../../proto/message.ts";
import { StillClock } from "./clock.ts";

const CHAT = "p2p:1:2";
const silent = { debug() {}, info() {}, warn() {}, error() {} };

function message(seq: number, conversation = CHAT, text = `${seq}`): Uint8Array {
  const fields = { conversation, messageId: `m${seq}`, senderId: 2, senderName: "bob", at: 0 };
  return withSeq(encodeMessage({ ...fields, content: { case: "text", value: text } }), seq);
}

function frame(body: Parameters<typeof create<typeof FrameSchema>>[1]): Frame {
  return create(FrameSchema, body);
}

const push = (seq: number, text?: string) =>
  frame({ cmd: Command.MESSAGE, body: { case: "message", value: message(seq, CHAT, text) } });

function pages(...pages: { conversation: string; after: number; seqs: number[] }[]): Frame {
  const value = pages.map(({ conversation, after, seqs }) => {
    const through = BigInt(seqs.at(-1) ?? after);
    const messages = seqs.map((seq) => message(seq, conversation));
    return { conversation, after: BigInt(after), through, head: through, messages };
  });
  return frame({
    body: { case: "pages", value: toBinary(PagesSchema, create(PagesSchema, { pages: value })) },
  });
}

/** A receiver that is connected and has caught up; `said` is what it writes. */
function receiving(options: Partial<ReceivingOptions> = {}) {
  const clock = new StillClock();
  const said: string[] = [];
  const connection = {
    write(written: Parameters<typeof create<typeof FrameSchema>>[1]) {
      const { body } = create(FrameSchema, written);
      if (body.case === "ack")
        said.push(...body.value.cursors.map(({ conversation, seq }) => `ack ${conversation} ${seq}`));
      if (body.case === "sync")
        said.push(`sync ${body.value.after.map(({ conversation, seq }) => `${conversation} ${seq}`)}`);
    },
  } as unknown as Connection;
  const receiver = new Receiving({
    clock,
    log: silent,
    userId: () => 1,
    maxUnread: 1000,
    cursors: {},
    isSent: () => false,
    ...options,
  });
  receiver.connected(connection);
  receiver.frame(pages());
  receiver.frame(pages({ conversation: "all", after: 0, seqs: [] }));
  const asked = said.splice(0);
  return { clock, said, receiver, asked, connection };
}

/** What was begun has its turn. */
const turn = () => new Promise(setImmediate);

async function take(receiver: Receiving, count: number): Promise<AsyncGenerator<Message, void, void>> {
  const messages = receiver[Symbol.asyncIterator]();
  for (let i = 0; i < count; i++) await messages.next();
  return messages;
}

test("a connection asks for what is unread, and where it stands in the conversation of all", () => {
  expect(receiving().asked).toEqual(["sync ", "sync all undefined"]);
});

describe("acknowledgements", () => {
  test("are gathered for three seconds, and say what the application has asked on from", async () => {
    const { clock, said, receiver } = receiving();
    for (const seq of [1, 2, 3]) receiver.frame(push(seq));
    await take(receiver, 3);
    clock.pass(2999);
    await turn();
    const before = [...said];
    clock.pass(1);
    await turn();
    expect([before, said]).toEqual([[], [`ack ${CHAT} 2`]]);
  });

  test("go at once after 64 messages", async () => {
    const { said, receiver } = receiving();
    for (let seq = 1; seq <= 100; seq++) receiver.frame(push(seq));
    await take(receiver, 65);
    await turn();
    expect(said).toEqual([`ack ${CHAT} 64`]);
  });

  test("go at once after 64 KiB of content, so that a server need not leave pushes out", async () => {
    const { said, receiver } = receiving();
    const text = "x".repeat(16 * 1024);
    for (let seq = 1; seq <= 8; seq++) receiver.frame(push(seq, text));
    const messages = await take(receiver, 4);
    await turn();
    const before = [...said];
    await messages.next();
    await turn();
    expect([before, said]).toEqual([[], [`ack ${CHAT} 4`]]);
  });

  test("wait for a connection, and go with the flush before the end", async () => {
    const { clock, said, receiver, connection } = receiving();
    receiver.frame(push(1));
    receiver.disconnected();
    await take(receiver, 1);
    clock.pass(4000);
    receiver.connected(connection);
    said.length = 0;
    await receiver.flush();
    expect(said).toEqual([`ack ${CHAT} 1`]);
  });
});

test("a hole that pushes do not close in 100 ms is asked for", () => {
  const { clock, said, receiver } = receiving();
  receiver.frame(push(1));
  receiver.frame(push(3));
  clock.pass(99);
  const before = [...said];
  clock.pass(1);
  expect([before, said]).toEqual([[], [`sync ${CHAT} 1`]]);
});

describe("a program's own cursors", () => {
  test("are told of each message before the next one comes, and before the server", async () => {
    const order: string[] = [];
    const store = {
      load: async () => ({}),
      save: async (conversation: string, seq: number) => void order.push(`save ${conversation} ${seq}`),
    };
    const { clock, said, receiver } = receiving({ store });
    for (const seq of [1, 2]) receiver.frame(push(seq));
    const messages = await take(receiver, 2);
    order.push("took 2");
    clock.pass(3000);
    await messages.return();
    await turn();
    expect([order, said]).toEqual([[`save ${CHAT} 1`, "took 2"], [`ack ${CHAT} 1`]]);
  });

  test("that cannot be kept stop the reading and the acknowledging; the message is not lost", async () => {
    let broken = true;
    const store = {
      load: async () => ({}),
      save: async () => {
        if (broken) throw new Error("disk full");
      },
    };
    const { clock, said, receiver } = receiving({ store });
    for (const seq of [1, 2]) receiver.frame(push(seq));
    const failure = await take(receiver, 2).catch((error: Error) => error.message);
    clock.pass(2000);
    broken = false;
    const next = await receiver[Symbol.asyncIterator]().next();
    expect([failure, said, (next.value as { seq: number }).seq]).toEqual(["disk full", [], 2]);
  });

  test("of other accounts, or that are none, are left out", () => {
    const cursors = { "p2p:8:9": 3, nonsense: 1, [CHAT]: 4, "p2p:1:3": -1 };
    const { asked } = receiving({ cursors });
    expect(asked[1]).toBe(`sync all undefined,${CHAT} 4`);
  });
});

test("the end ends the iteration, also one that waits", async () => {
  const { receiver } = receiving();
  const messages = receiver[Symbol.asyncIterator]();
  const waiting = messages.next();
  receiver.end();
  expect([await waiting, await messages.next()]).toEqual([
    { done: true, value: undefined },
    { done: true, value: undefined },
  ]);
});
