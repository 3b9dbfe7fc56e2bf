import { describe, expect, test } from "bun:test";
import { type Answer, type Outgoing, SendQueue } from "../../../client/sdk/sendqueue.ts";
import type { Receipt } from "../../../client/sdk/types.ts";
import { CimError, type StatusName } from "../../../proto/status.ts";

const CHAT = "p2p:1:2";

function outgoing(messageId: string, bytes = 10): Outgoing {
  return { conversation: CHAT, messageId, content: { case: "text", value: messageId }, bytes };
}

function accepted(messageId: string, seq = 1): Answer {
  return { messageId, seq, at: new Date(0), receiverOnline: true };
}

function refused(messageId: string, status: StatusName): Answer {
  return { messageId, refusal: new CimError(status) };
}

function queue(accepted: (conversation: string, seq: number) => void = () => {}): SendQueue {
  return new SendQueue({ timeoutMs: 1000, backoff: (attempt) => 100 * 2 ** attempt, accepted });
}

/** What becomes of each message: its seq, or the code it was refused with. */
function add(queue: SendQueue, ids: string[], now = 0): Promise<string[]> {
  const outcomes = ids.map((id) =>
    queue.add(outgoing(id), now).then(
      (receipt: Receipt) => `${id} ${receipt.seq}`,
      (error: CimError) => `${id} ${error.code}`,
    ),
  );
  return Promise.all(outcomes);
}

function ids(batch: Outgoing[] | null): string[] | null {
  return batch?.map(({ messageId }) => messageId) ?? null;
}

test("what is queued while a batch is under way goes in the next", async () => {
  const box = queue();
  const outcome = add(box, ["a", "b", "c"]);
  const first = [ids(box.next(0)), ids(box.next(0))];
  const later = add(box, ["d"]);
  box.answered([accepted("a", 1), accepted("b", 2), accepted("c", 3)], 0);
  expect([...first, ids(box.next(0)), await outcome]).toEqual([
    ["a", "b", "c"],
    null,
    ["d"],
    ["a 1", "b 2", "c 3"],
  ]);
  box.answered([accepted("d", 4)], 0);
  expect([await later, box.pending]).toEqual([["d 4"], 0]);
});

test("a batch holds at most 64 messages and 48 KiB, and one larger message alone", () => {
  const many = queue();
  void add(
    many,
    Array.from({ length: 65 }, (_, i) => `m${i}`),
  );
  const large = queue();
  for (const bytes of [60_000, 40_000, 9_000, 1_000]) void large.add(outgoing(`${bytes}`, bytes), 0);
  const batches = [ids(large.next(0))];
  large.answered([accepted("60000")], 0);
  batches.push(ids(large.next(0)));
  expect([many.next(0)?.length, ...batches]).toEqual([64, ["60000"], ["40000", "9000"]]);
});

describe("a refusal that may pass", () => {
  test("is tried again after a wait that grows, in order and with the same ids", async () => {
    const box = queue();
    const outcome = add(box, ["a", "b", "c"]);
    box.next(0);
    box.answered([accepted("a"), refused("b", "RATE_LIMITED"), refused("c", "RATE_LIMITED")], 0);
    void add(box, ["d"]);
    const tries = [ids(box.next(99)), ids(box.next(100))];
    box.answered(
      ["b", "c", "d"].map((id) => refused(id, "FALLBACK")),
      100,
    );
    tries.push(ids(box.next(299)), ids(box.next(300)));
    box.answered([accepted("b", 2), accepted("c", 3)], 300);
    expect(tries).toEqual([null, ["b", "c", "d"], null, ["b", "c", "d"]]);
    expect(await outcome).toEqual(["a 1", "b 2", "c 3"]);
  });

  test("starts its waits anew once something was accepted", () => {
    const box = queue();
    void add(box, ["a", "b"]);
    box.next(0);
    box.answered([refused("a", "FALLBACK"), refused("b", "FALLBACK")], 0);
    box.next(100);
    box.answered([accepted("a"), refused("b", "FALLBACK")], 100);
    expect([ids(box.next(199)), ids(box.next(200))]).toEqual([null, ["b"]]);
  });

  test("is also one for a session that is over, which the client resumes", () => {
    const box = queue();
    void add(box, ["a"]);
    box.next(0);
    box.answered([refused("a", "UNAUTHORIZED")], 0);
    expect(ids(box.next(100))).toEqual(["a"]);
  });
});

test("a refusal that will not pass is told, and does not hold up what follows", async () => {
  const box = queue();
  const outcome = add(box, ["a", "b"]);
  box.next(0);
  box.answered([refused("a", "INVALID"), accepted("b", 1)], 0);
  expect(await outcome).toEqual(["a 3000", "b 1"]);
});

test("after a reconnect what was under way is sent again before what waited", () => {
  const box = queue();
  void add(box, ["a", "b"]);
  box.next(0);
  void add(box, ["c"]);
  box.connected();
  expect(ids(box.next(0))).toEqual(["a", "b", "c"]);
});

test("an answer that fits the batch not at all is no answer", () => {
  const box = queue();
  void add(box, ["a", "b"]);
  box.next(0);
  box.answered([accepted("x"), accepted("b")], 0);
  expect(ids(box.next(100))).toEqual(["a"]);
});

describe("a message without a receipt in time", () => {
  test("is rejected, whether it was sent or not, and says whether it may stand", async () => {
    const box = queue();
    const texts = ["a", "b"].map((id) => box.add(outgoing(id), 0).catch((error: CimError) => error.message));
    box.next(0);
    const third = box.add(outgoing("c"), 0).catch((error: CimError) => error.message);
    box.expire(999);
    const pending = box.pending;
    box.expire(1000);
    expect([pending, ...(await Promise.all([...texts, third]))]).toEqual([
      3,
      "message a: no receipt in 1000 ms; it may have been accepted",
      "message b: no receipt in 1000 ms; it may have been accepted",
      "message c: no receipt in 1000 ms",
    ]);
  });

  test("is not sent again; its late receipt is no receipt for anyone, but tells where it stands", async () => {
    const places: number[] = [];
    const box = queue((_, seq) => places.push(seq));
    const outcome = add(box, ["a"]);
    box.next(0);
    const later = add(box, ["b"], 500);
    box.expire(1000);
    box.answered([accepted("a")], 1000);
    box.next(1000);
    box.answered([accepted("b", 2)], 1000);
    expect([await outcome, await later, box.pending, places]).toEqual([["a 8000"], ["b 2"], 0, [1, 2]]);
  });
});

test("it wants to be woken for the next try, or for the message that waited longest", () => {
  const box = queue();
  const wakes = [box.wakeAt(0)];
  void add(box, ["a"]);
  wakes.push(box.wakeAt(0));
  box.next(0);
  box.answered([refused("a", "FALLBACK")], 0);
  wakes.push(box.wakeAt(0), box.wakeAt(100));
  expect(wakes).toEqual([null, 1000, 100, 1000]);
});

test("too many waiting messages are refused at once, and room comes back with receipts", async () => {
  const box = queue();
  const full = Array.from({ length: 16 }, (_, i) => box.add(outgoing(`m${i}`, 1024 * 1024), 0));
  const refusal = await box.add(outgoing("late", 1), 0).catch((error: CimError) => error.code);
  box.next(0);
  box.answered([accepted("m0")], 0);
  await full[0];
  void box.add(outgoing("fits", 1), 0);
  expect([refusal, box.pending]).toEqual(["6000", 16]);
});

test("a client that ends rejects all that has no receipt", async () => {
  const box = queue();
  const outcome = add(box, ["a", "b"]);
  box.next(0);
  const later = add(box, ["c"]);
  box.fail("RECONNECT_FAILED", "the client is closed");
  expect([await outcome, await later, box.pending, box.wakeAt(0)]).toEqual([
    ["a 7200", "b 7200"],
    ["c 7200"],
    0,
    null,
  ]);
});

test("whatever is refused, lost and repeated: accepted once each, in the order of sending", async () => {
  for (let seed = 1; seed <= 100; seed++) {
    let state = seed;
    const below = (limit: number) => {
      state = (state * 1664525 + 1013904223) % 2 ** 32;
      return Math.floor((state / 2 ** 32) * limit);
    };
    const box = new SendQueue({ timeoutMs: 1e9, backoff: () => 1, accepted: () => {} });
    const log: string[] = [];
    const sent: string[] = [];
    const outcomes: Promise<string[]>[] = [];
    for (let now = 0; now < 200 || box.pending > 0; now++) {
      if (now < 200 && below(2) === 0) {
        sent.push(`m${sent.length}`);
        outcomes.push(add(box, sent.slice(-1), now));
      }
      const batch = box.next(now);
      if (!batch) continue;
      // The server stores some of the batch, refuses the rest for now, and its answer may be lost.
      const stored = batch.slice(0, below(batch.length + 1));
      for (const { messageId } of stored) if (!log.includes(messageId)) log.push(messageId);
      if (below(3) === 0) box.connected();
      else
        box.answered(
          batch.map(({ messageId }, i) =>
            i < stored.length
              ? accepted(messageId, log.indexOf(messageId) + 1)
              : refused(messageId, "RATE_LIMITED"),
          ),
          now,
        );
    }
    const receipts = (await Promise.all(outcomes)).flat();
    expect([log, receipts]).toEqual([sent, sent.map((id, i) => `${id} ${i + 1}`)]);
  }
});
