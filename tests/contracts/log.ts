import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { withSeq } from "../../proto/message.ts";
import { type Draft, nameOf, type Stored } from "../../route/store/log.ts";
import type { Store } from "../../route/store/store.ts";
import { encoded } from "../support/encoded.ts";

const EVERYTHING = { messages: 1000, bytes: 1_000_000 };
const LATE = Number.MAX_SAFE_INTEGER;

/** @param open an engine with nothing in it */
export function logContract(name: string, open: () => Promise<Store>): void {
  describe(`log in ${name}`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    const read = (conversation: string, after = 0) => store.log.read(conversation, after, EVERYTHING);
    const seqs = (messages: readonly Stored[]) => messages.map(({ seq }) => seq);

    test("messages get seq 1, 2, 3 … in the order given, each conversation its own", async () => {
      const drafts = [
        draft("p2p:1:2", "a"),
        draft("all", "b"),
        draft("p2p:1:2", "c"),
        draft("p2p:1:3", "d"),
        draft("p2p:1:2", "e"),
      ];
      expect(await store.log.append(drafts)).toEqual(
        [1, 1, 2, 1, 3].map((seq) => ({ seq, at: 1000, retry: false })),
      );
      expect([await store.log.append([draft("p2p:1:2", "f")]), await store.log.append([])]).toEqual([
        [{ seq: 4, at: 1000, retry: false }],
        [],
      ]);
    });

    test("what is stored is the encoded message with its seq", async () => {
      const bytes = encoded({ conversation: "all", messageId: "a", senderId: 7, senderName: "七" });
      const huge = new Uint8Array(60 * 1024).map((_, i) => i);
      const every = new Uint8Array(256).map((_, i) => i);
      await store.log.append([
        { ...draft("all", "a"), bytes },
        { ...draft("all", "b"), bytes: huge },
        // A view into something larger, as a decoder hands out.
        { ...draft("all", "c"), bytes: every.subarray(100, 200) },
        { ...draft("all", "d"), bytes: new Uint8Array() },
        { ...draft("all", "e"), bytes: every },
      ]);
      expect((await read("all")).messages).toEqual(
        [bytes, huge, every.subarray(100, 200), new Uint8Array(), every].map((kept, i) => ({
          conversation: "all",
          seq: i + 1,
          bytes: withSeq(kept, i + 1),
        })),
      );
    });

    test("a message that is sent again keeps its place and the time it was first accepted", async () => {
      await store.log.append([draft("all", "a", { at: 1 }), draft("all", "b", { at: 2 })]);
      expect(
        await store.log.append([
          draft("all", "a", { at: 3, bytes: new Uint8Array([9]) }),
          draft("all", "c", { at: 3 }),
          draft("all", "b", { at: 3 }),
        ]),
      ).toEqual([
        { seq: 1, at: 1, retry: true },
        { seq: 3, at: 3, retry: false },
        { seq: 2, at: 2, retry: true },
      ]);
      expect((await read("all")).messages).toEqual(["a", "b", "c"].map((id, i) => stored("all", id, i + 1)));
    });

    test("a message that stands twice in one call is one message", async () => {
      expect(
        await store.log.append([
          draft("all", "a", { at: 1 }),
          draft("all", "a", { at: 2 }),
          draft("p2p:1:2", "a", { at: 3 }),
          draft("all", "a", { at: 4 }),
        ]),
      ).toEqual([
        { seq: 1, at: 1, retry: false },
        { seq: 1, at: 1, retry: true },
        { seq: 1, at: 3, retry: false },
        { seq: 1, at: 1, retry: true },
      ]);
    });

    test("the same messageId of another sender, or in another conversation, is another message", async () => {
      const answers = await store.log.append([
        draft("p2p:1:2", "a", { senderId: 1 }),
        draft("p2p:1:2", "a", { senderId: 2 }),
        draft("p2p:1:3", "a", { senderId: 1 }),
        draft("p2p:1:2", "A", { senderId: 1 }),
        draft("p2p:1:2", "1:a", { senderId: 1 }),
        draft("p2p:1:2", "a", { senderId: 11 }),
        draft("p2p:1:2", "1a", { senderId: 1 }),
      ]);
      expect(answers.map(({ seq, retry }) => [seq, retry])).toEqual([
        [1, false],
        [2, false],
        [1, false],
        [3, false],
        [4, false],
        [5, false],
        [6, false],
      ]);
    });

    test("many calls at once make no hole and no double, and keep the order of each call", async () => {
      const calls = Array.from({ length: 30 }, (_, call) =>
        Array.from({ length: 10 }, (_, i) => draft(i % 2 ? "all" : "p2p:1:2", `${call}-${i}`)),
      );
      // Half of the calls are made twice at once, as after an answer that got lost.
      const answers = await Promise.all([...calls, ...calls.slice(15)].map((call) => store.log.append(call)));
      const ofAll = answers.map((answer) => answer.filter((_, i) => i % 2).map(({ seq }) => seq));
      expect(ofAll.every((call) => call.every((seq, i) => i === 0 || seq > call[i - 1]!))).toBe(true);
      expect(ofAll.slice(30)).toEqual(ofAll.slice(15, 30));
      expect(answers.flat().filter(({ retry }) => retry).length).toBe(150);
      for (const conversation of ["all", "p2p:1:2"]) {
        expect(seqs((await read(conversation)).messages)).toEqual(numbers(1, 150));
      }
    });

    test("a conversation without messages is empty", async () => {
      expect([
        await store.log.head("all"),
        await read("all"),
        await read("p2p:1:2", 5),
        await store.log.history("all", Infinity, EVERYTHING),
      ]).toEqual([
        0,
        { after: 0, through: 0, head: 0, messages: [] },
        { after: 5, through: 5, head: 0, messages: [] },
        [],
      ]);
    });

    test("reading goes on after what was read, up to the head", async () => {
      await fill("all", 5);
      expect([
        await store.log.head("all"),
        await store.log.read("all", 0, { messages: 2, bytes: 1e6 }),
        await store.log.read("all", 2, { messages: 2, bytes: 1e6 }),
        await store.log.read("all", 4, { messages: 2, bytes: 1e6 }),
        await store.log.read("all", 3, { messages: 2, bytes: 1e6 }),
        await store.log.read("all", 5, { messages: 2, bytes: 1e6 }),
        await store.log.read("all", 9, { messages: 2, bytes: 1e6 }),
      ]).toEqual([
        5,
        { after: 0, through: 2, head: 5, messages: messages("all", 1, 2) },
        { after: 2, through: 4, head: 5, messages: messages("all", 3, 4) },
        { after: 4, through: 5, head: 5, messages: messages("all", 5, 5) },
        { after: 3, through: 5, head: 5, messages: messages("all", 4, 5) },
        { after: 5, through: 5, head: 5, messages: [] },
        { after: 9, through: 9, head: 5, messages: [] },
      ]);
    });

    test("a page holds no more bytes than it may, but at least one message", async () => {
      // Of 100 bytes each once the seq is in.
      await store.log.append(
        numbers(1, 5).map((i) => ({ ...draft("all", `m${i}`), bytes: new Uint8Array(98) })),
      );
      const page = async (bytes: number) => {
        const { through, messages } = await store.log.read("all", 1, { messages: 10, bytes });
        return [through, seqs(messages)];
      };
      const past = async (bytes: number) => seqs(await store.log.history("all", 5, { messages: 10, bytes }));
      expect([await page(1), await page(199), await page(200), await page(399), await page(400)]).toEqual([
        [2, [2]],
        [2, [2]],
        [3, [2, 3]],
        [4, [2, 3, 4]],
        [5, [2, 3, 4, 5]],
      ]);
      expect([await past(1), await past(199), await past(200), await past(400)]).toEqual([
        [4],
        [4],
        [3, 4],
        [1, 2, 3, 4],
      ]);
    });

    test("history is what precedes, the newest of it, oldest first", async () => {
      await fill("all", 5);
      const past = async (before: number, messages: number) =>
        store.log.history("all", before, { messages, bytes: 1e6 });
      expect([await past(Infinity, 2), await past(4, 2), await past(2, 5), await past(1, 5)]).toEqual([
        messages("all", 4, 5),
        messages("all", 2, 3),
        messages("all", 1, 1),
        [],
      ]);
    });

    test("an accepted message is marked to be pushed until its mark is taken off", async () => {
      await store.log.append([draft("all", "m1"), draft("p2p:1:2", "m1"), draft("all", "m2")]);
      expect(byName(await store.log.unpushed(LATE, 10))).toEqual([
        ...messages("all", 1, 2),
        ...messages("p2p:1:2", 1, 1),
      ]);
      await store.log.pushed([
        { conversation: "all", seq: 1 },
        { conversation: "p2p:1:2", seq: 1 },
      ]);
      expect(await store.log.unpushed(LATE, 10)).toEqual(messages("all", 2, 2));
      await store.log.pushed([{ conversation: "all", seq: 2 }]);
      await store.log.pushed([]);
      expect(await store.log.unpushed(LATE, 10)).toEqual([]);
    });

    test("taking off a mark that is not there changes nothing", async () => {
      await store.log.append([draft("all", "m1")]);
      await store.log.pushed([
        { conversation: "all", seq: 2 },
        { conversation: "p2p:1:2", seq: 1 },
      ]);
      expect(await store.log.unpushed(LATE, 10)).toEqual(messages("all", 1, 1));
    });

    test("a retry marks nothing again", async () => {
      await store.log.append([draft("all", "m1")]);
      await store.log.pushed([{ conversation: "all", seq: 1 }]);
      await store.log.append([draft("all", "m1")]);
      expect(await store.log.unpushed(LATE, 10)).toEqual([]);
    });

    test("only what was accepted before the given time is answered as unpushed", async () => {
      await store.log.append([
        draft("all", "m1", { at: 10 }),
        draft("p2p:1:2", "m1", { at: 20 }),
        draft("all", "m2", { at: 30 }),
      ]);
      const before = async (at: number) => byName(await store.log.unpushed(at, 10));
      expect([await before(10), await before(11), await before(30), await before(31)]).toEqual([
        [],
        messages("all", 1, 1),
        [...messages("all", 1, 1), ...messages("p2p:1:2", 1, 1)],
        [...messages("all", 1, 2), ...messages("p2p:1:2", 1, 1)],
      ]);
    });

    test("unpushed messages come in seq order within each conversation, also after a clock stepped back", async () => {
      await store.log.append(numbers(1, 20).map((i) => draft("all", `m${i}`, { at: 1000 - i })));
      expect(seqs(await store.log.unpushed(LATE, 100))).toEqual(numbers(1, 20));
    });

    test("no more unpushed messages are answered than asked for, and those left come once these are pushed", async () => {
      const conversations = ["all", "p2p:1:2", "p2p:1:3", "p2p:2:3"];
      await store.log.append(numbers(1, 40).map((i) => draft(conversations[i % 4]!, `m${i}`, { at: i })));
      const got: Stored[] = [];
      for (let page = await store.log.unpushed(LATE, 7); page.length > 0; ) {
        expect(page.length).toBeLessThanOrEqual(7);
        got.push(...page);
        await store.log.pushed(page);
        page = await store.log.unpushed(LATE, 7);
      }
      for (const conversation of conversations) {
        const its = got.filter((message) => message.conversation === conversation);
        expect(seqs(its)).toEqual(numbers(1, 10));
      }
    });

    test("unpushed messages that somebody has in hand are left out, and do not take the place of others", async () => {
      const conversations = ["all", "p2p:1:2", "p2p:1:3"];
      await store.log.append(numbers(1, 30).map((i) => draft(conversations[i % 3]!, `m${i}`, { at: i })));
      const inHand = new Set([
        ...messages("all", 1, 10).map(nameOf),
        ...messages("p2p:1:2", 1, 4).map(nameOf),
        nameOf({ conversation: "all", seq: 11 }),
      ]);
      const left = [...messages("p2p:1:2", 5, 10), ...messages("p2p:1:3", 1, 10)].map(nameOf);
      expect(byName(await store.log.unpushed(31, 100, inHand)).map(nameOf)).toEqual(left);
      expect((await store.log.unpushed(31, 12, inHand)).length).toBe(12);
      expect(await store.log.unpushed(31, 100, new Set([...inHand, ...left]))).toEqual([]);
    });

    test("retention forgets what was accepted before, and never gives a seq again", async () => {
      await store.log.append([
        draft("all", "m1", { at: 10 }),
        draft("all", "m2", { at: 20 }),
        draft("all", "m3", { at: 30 }),
        draft("p2p:1:2", "m1", { at: 15 }),
      ]);
      expect([await store.log.trim(10, 10), await trimAll(21)]).toEqual([0, 3]);
      expect([
        await read("all"),
        await read("p2p:1:2"),
        await store.log.history("all", Infinity, EVERYTHING),
        await store.log.head("p2p:1:2"),
      ]).toEqual([
        { after: 0, through: 3, head: 3, messages: messages("all", 3, 3) },
        { after: 0, through: 1, head: 1, messages: [] },
        messages("all", 3, 3),
        1,
      ]);
      expect(
        await store.log.append([draft("p2p:1:2", "m2", { at: 40 }), draft("all", "m4", { at: 40 })]),
      ).toEqual([
        { seq: 2, at: 40, retry: false },
        { seq: 4, at: 40, retry: false },
      ]);
      expect([await read("p2p:1:2"), await read("all", 1)]).toEqual([
        { after: 0, through: 2, head: 2, messages: messages("p2p:1:2", 2, 2) },
        { after: 1, through: 4, head: 4, messages: messages("all", 3, 4) },
      ]);
    });

    test("retention takes marks and retries with the messages", async () => {
      await store.log.append([draft("all", "m1", { at: 10 }), draft("all", "m2", { at: 20 })]);
      await trimAll(15);
      expect(await store.log.unpushed(LATE, 10)).toEqual(messages("all", 2, 2));
      // As good as new: who sends a message again after the retention sends another one.
      expect(await store.log.append([draft("all", "m1", { at: 30 })])).toEqual([
        { seq: 3, at: 30, retry: false },
      ]);
    });

    test("a mark of a forgotten message is never taken for one of a later message", async () => {
      await store.log.append([draft("all", "m1", { at: 10 })]);
      await trimAll(15);
      await store.log.append([draft("all", "m2", { at: 20 })]);
      await store.log.pushed([{ conversation: "all", seq: 2 }]);
      expect(await store.log.unpushed(LATE, 10)).toEqual([]);
    });

    test("retention forgets no more at once than it was allowed, and goes on where it was", async () => {
      await store.log.append(numbers(1, 10).map((i) => draft("all", `m${i}`, { at: i })));
      expect([
        await store.log.trim(9, 3),
        await store.log.trim(9, 3),
        await store.log.trim(9, 3),
        await store.log.trim(9, 3),
        await read("all"),
      ]).toEqual([3, 3, 2, 0, { after: 0, through: 10, head: 10, messages: messages("all", 9, 10) }]);
    });

    test("retention in the middle of what a reader reads leaves only what it removed out", async () => {
      await store.log.append(numbers(1, 4).map((i) => draft("all", `m${i}`, { at: i })));
      await trimAll(3);
      expect([
        await store.log.read("all", 0, { messages: 1, bytes: 1e6 }),
        await store.log.read("all", 1, { messages: 1, bytes: 1e6 }),
      ]).toEqual([
        { after: 0, through: 3, head: 4, messages: messages("all", 3, 3) },
        { after: 1, through: 3, head: 4, messages: messages("all", 3, 3) },
      ]);
    });

    const fill = (conversation: string, count: number) =>
      store.log.append(numbers(1, count).map((i) => draft(conversation, `m${i}`)));

    async function trimAll(at: number): Promise<number> {
      let forgotten = 0;
      for (let some = -1; some !== 0; forgotten += some) some = await store.log.trim(at, 2);
      return forgotten;
    }
  });
}

function draft(conversation: string, messageId: string, fields: Partial<Draft> = {}): Draft {
  const bytes = new TextEncoder().encode(`${conversation}/${messageId}`);
  return { conversation, senderId: 1, messageId, at: 1000, bytes, ...fields };
}

function stored(conversation: string, messageId: string, seq: number): Stored {
  return { conversation, seq, bytes: withSeq(draft(conversation, messageId).bytes, seq) };
}

/** Messages m<first> to m<last>, whose ids say their seq. */
function messages(conversation: string, first: number, last: number): Stored[] {
  return numbers(first, last).map((seq) => stored(conversation, `m${seq}`, seq));
}

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Conversations come in any order. */
function byName(messages: Stored[]): Stored[] {
  return messages.toSorted((a, b) =>
    a.conversation < b.conversation ? -1 : +(a.conversation > b.conversation),
  );
}
