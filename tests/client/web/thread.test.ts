import { describe, expect, test } from "bun:test";
import type { Message, User } from "../../../client/sdk/types.ts";
import { Thread } from "../../../client/web/thread.ts";

const ANN: User = { userId: 1, userName: "ann" };
const BOB: User = { userId: 2, userName: "bob" };

function message(seq: number, sender = BOB, own = false): Message {
  const at = new Date(1_700_000_000_000 + seq);
  return { conversation: "p2p:1:2", seq, messageId: `m${seq}`, sender, at, text: `text ${seq}`, own };
}

const privately = () => new Thread("p2p:1:2", BOB);
const seqs = (thread: Thread) => thread.entries.map(({ seq }) => seq);
const marks = (thread: Thread) => [...thread.entries, ...thread.waiting].map(({ mark }) => mark);
const write = (thread: Thread, messageId: string) =>
  thread.queue({ messageId, sender: ANN, at: new Date(), text: messageId });
const receipt = (messageId: string, seq: number, receiverOnline: boolean) => ({
  conversation: "p2p:1:2",
  seq,
  messageId,
  at: new Date(),
  receiverOnline,
});

describe("messages", () => {
  test("stand in order and once, whichever way and however often they come", () => {
    const thread = privately();
    for (const seq of [5, 3, 4, 3, 9, 1, 2, 5]) thread.add(message(seq), seq > 3);
    expect([seqs(thread), thread.head, thread.oldest]).toEqual([[1, 2, 3, 4, 5, 9], 9, 1]);
  });

  test("of one's own wait at the end until they have a place, under the same key", () => {
    const thread = privately();
    thread.add(message(1), true);
    const first = write(thread, "a");
    const second = write(thread, "b");
    expect([thread.last?.key, marks(thread)]).toEqual([second.key, ["sent", "queued", "queued"]]);
    thread.accepted(first, receipt("a", 2, true));
    thread.add(message(3), true);
    thread.accepted(second, receipt("b", 4, true));
    expect(thread.entries.map(({ key }) => key)).toEqual(["2 m1", first.key, "2 m3", second.key]);
    expect(thread.waiting).toEqual([]);
  });

  test("of one's own that come back from the log before their receipts are there once", () => {
    const thread = privately();
    const entry = write(thread, "m1");
    thread.add(message(1, ANN, true), true);
    thread.accepted(entry, receipt("m1", 1, true));
    expect([seqs(thread), marks(thread)]).toEqual([[1], ["delivered"]]);
  });

  test("of the far past are forgotten when there are too many, and may be read again", () => {
    const thread = privately();
    for (let seq = 1; seq <= 2001; seq++) thread.add(message(seq), true);
    thread.complete = true;
    thread.trim();
    expect([thread.entries.length, thread.oldest, thread.complete]).toEqual([500, 1502, false]);
  });
});

describe("the newest page, read anew,", () => {
  test("joins what is there when it reaches back to it", () => {
    const thread = privately();
    thread.addNewest([1, 2, 3].map((seq) => message(seq)));
    thread.outdate();
    thread.add(message(6), true);
    thread.addNewest([3, 4, 5, 6].map((seq) => message(seq)));
    expect([seqs(thread), thread.loaded]).toEqual([[1, 2, 3, 4, 5, 6], true]);
  });

  test("takes the place of what it does not reach back to, so that there is no hole", () => {
    const thread = privately();
    thread.addNewest([1, 2, 3].map((seq) => message(seq)));
    thread.complete = true;
    thread.outdate();
    thread.add(message(9), true);
    thread.addNewest([7, 8, 9].map((seq) => message(seq)));
    expect([seqs(thread), thread.complete]).toEqual([[7, 8, 9], false]);
  });

  test("leaves everything as it is while it cannot be had", () => {
    const thread = privately();
    thread.addNewest([message(1)]);
    thread.outdate();
    expect([seqs(thread), thread.loaded]).toEqual([[1], false]);
  });
});

describe("what is unread", () => {
  test("is what this device was not handed before, and not what the history brings", () => {
    const thread = privately();
    for (const seq of [1, 2, 3]) thread.add(message(seq), false);
    expect(thread.unread).toBe(0);
    for (const seq of [3, 4]) thread.add(message(seq), true);
    expect([thread.unread, thread.read]).toEqual([2, 2]);
  });

  test("ends with a look, and begins again with the next message", () => {
    const thread = privately();
    thread.add(message(1), true);
    expect([thread.seen(), thread.seen(), thread.unread]).toEqual([true, false, 0]);
    thread.add(message(2), true);
    // Handed out once more, as after a crash: it was looked at.
    thread.add(message(1), true);
    expect(thread.unread).toBe(1);
  });

  test("is what follows where an earlier page was", () => {
    const thread = privately();
    thread.resume(2);
    for (const seq of [1, 2, 3, 4]) thread.add(message(seq), false);
    expect(thread.unread).toBe(2);
  });

  test("leaves one's own words out", () => {
    const thread = privately();
    thread.add(message(1), true);
    thread.seen();
    thread.accepted(write(thread, "a"), receipt("a", 2, true));
    thread.add(message(3, ANN, true), true);
    expect([thread.unread, thread.read]).toEqual([0, 2]);
  });
});

describe("a mark", () => {
  test("says what the receipt says, and for everyone only that it was sent", () => {
    const thread = privately();
    thread.accepted(write(thread, "a"), receipt("a", 1, true));
    thread.accepted(write(thread, "b"), receipt("b", 2, false));
    thread.failed(write(thread, "c"), new Error("no"));
    write(thread, "d");
    expect(marks(thread)).toEqual(["delivered", "stored", "failed", "queued"]);
    const everyone = new Thread("all", null);
    everyone.accepted(write(everyone, "a"), receipt("a", 1, true));
    expect(marks(everyone)).toEqual(["sent"]);
  });

  test("changes from stored to delivered when the other side answers", () => {
    const thread = privately();
    thread.accepted(write(thread, "a"), receipt("a", 1, false));
    thread.accepted(write(thread, "b"), receipt("b", 3, false));
    thread.add(message(2), true);
    expect(marks(thread)).toEqual(["delivered", "sent", "stored"]);
  });
});

test("a failed message can be given up", () => {
  const thread = privately();
  const entry = write(thread, "a");
  thread.failed(entry, new Error("no"));
  thread.drop(entry);
  expect(thread.waiting).toEqual([]);
});
