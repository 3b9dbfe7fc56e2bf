import { expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Sending } from "../../../client/sdk/sending.ts";
import type { Message } from "../../../client/sdk/types.ts";
import { SendSchema, SentSchema } from "../../../proto/gen/cim_pb.ts";
import { StillClock } from "./clock.ts";

const BACKOFF_MS = 10;

/** Time passes between one look and the next, and timers go off a little early, as Bun's do. */
class RealClock extends StillClock {
  #looks = 0;

  constructor(readonly earlyMs: number) {
    super();
  }

  override now(): number {
    return super.now() + ++this.#looks * 0.1;
  }

  override after(ms: number, run: () => void): () => void {
    return super.after(Math.max(0, ms - this.earlyMs), run);
  }
}

// The moment of the next try could fall between two looks at the clock: the message then waited for its time-out.
test("a message that was refused for now is sent again after the backoff, however the clock ticks", async () => {
  const tries: number[] = [];
  for (let early = 0; early < 20; early++)
    tries.push(await triesIn(20 * BACKOFF_MS, new RealClock(early / 20)));
  expect(tries).toEqual(tries.map(() => 3));
});

// What another device of the account said elsewhere, under the same id, was taken for this one's and not handed out.
test("a chosen messageId is known as sent from here in its conversation alone", () => {
  const sending = sendingOf(new StillClock());
  const sent = sending.send("p2p:1:2", "hello", "x").catch(() => {});
  const from = (conversation: string) =>
    sending.isSent({ conversation, messageId: "x", sender: { userId: 1, userName: "" } } as Message);
  expect([from("p2p:1:2"), from("p2p:1:3")]).toEqual([true, false]);
  sending.end("the test is over");
  return sent;
});

// The answer named it without, so that it was sent again and again, and at last called lost though it was there.
test("a messageId that begins with a byte order mark is refused", async () => {
  const sending = sendingOf(new StillClock());
  expect(sending.send("p2p:1:2", "hello", "\uFEFFx")).rejects.toThrow("byte order mark");
});

/** A connection on which a message is refused with 8000 at each try but the third. */
async function triesIn(ms: number, clock: StillClock): Promise<number> {
  let tries = 0;
  const sending = sendingOf(clock);
  // biome-ignore lint/suspicious/noExplicitAny: the frame's body is what Sending makes.
  const write = ({ body }: any) => {
    const { messages } = fromBinary(SendSchema, body.value);
    const code = ++tries < 3 ? "8000" : "9000";
    const receipts = messages.map(({ messageId }) => ({ messageId, code, seq: 1n }));
    queueMicrotask(() => sending.answered(toBinary(SentSchema, create(SentSchema, { receipts }))));
  };
  sending.connected({ write } as never);
  const receipt = sending.send("p2p:1:2", "hello");
  for (let passed = 0; passed < ms; passed++) {
    await Promise.resolve();
    clock.pass(1);
  }
  sending.end("the test is over");
  await receipt.catch(() => {});
  return tries;
}

function sendingOf(clock: StillClock): Sending {
  const backoff = () => BACKOFF_MS;
  return new Sending({ clock, userId: () => 1, timeoutMs: 30_000, backoff, accepted: () => {} });
}
