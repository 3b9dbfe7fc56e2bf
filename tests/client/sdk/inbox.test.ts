import { describe, expect, test } from "bun:test";
import { type Ask, Inbox, type Page } from "../../../client/sdk/inbox.ts";
import type { Message } from "../../../client/sdk/types.ts";

const ME = 1;
const CHAT = "p2p:1:2";

function message(seq: number, { conversation = CHAT, senderId = 2, messageId = `m${seq}` } = {}): Message {
  const sender = { userId: senderId, userName: `user${senderId}` };
  return { conversation, seq, messageId, sender, at: new Date(0), text: `text ${seq}`, own: senderId === ME };
}

function page(conversation: string, after: number, seqs: number[], head = seqs.at(-1) ?? after): Page {
  const messages = seqs.map((seq) => message(seq, { conversation }));
  return { conversation, after, through: seqs.at(-1) ?? after, head, messages };
}

function inbox(options: { maxUnread?: number; cursors?: Record<string, number>; sent?: string[] } = {}) {
  const { maxUnread = 1000, cursors, sent = [] } = options;
  const box = new Inbox({ maxUnread, isSent: (message) => sent.includes(message.messageId) });
  for (const [conversation, seq] of Object.entries(cursors ?? {})) box.resume(conversation, seq);
  return box;
}

/** An inbox that has asked all it asks of a new connection, and was told that nothing is unread. */
function settled(options: Parameters<typeof inbox>[0] = {}): Inbox {
  const box = inbox(options);
  box.connected();
  for (let ask = box.nextAsk(); ask; ask = box.nextAsk()) {
    box.pages(
      "after" in ask ? ask.after.map(({ conversation, seq }) => page(conversation, seq ?? 0, [])) : [],
      false,
    );
  }
  return box;
}

/** Hands out all there is, as to an application that asks for one after another. */
function read(box: Inbox): string[] {
  const read: string[] = [];
  for (let entry = box.take(); entry; entry = box.take()) {
    read.push(`${entry.message.conversation} ${entry.message.seq}`);
    box.done(entry);
  }
  return read;
}

describe("a word that pushes were left out", () => {
  // The answer under way may be older than what was left out, and used to count as the answer to the word as well.
  test("that comes while everything is asked for has everything asked for once more", () => {
    const box = settled();
    box.lagging([]);
    expect(box.nextAsk()).toEqual({ from: "" });
    box.lagging([]);
    box.pages([], false);
    expect([box.nextAsk(), box.pages([page(CHAT, 0, [1])], false), box.nextAsk(), read(box)]).toEqual([
      { from: "" },
      undefined,
      null,
      [`${CHAT} 1`],
    ]);
  });

  test("that comes while that conversation is asked for has it asked for once more", () => {
    const box = settled();
    box.lagging(["all"]);
    expect(box.nextAsk()).toEqual({ after: [{ conversation: "all", seq: 0 }] });
    box.lagging(["all"]);
    box.pages([page("all", 0, [1])], false);
    expect([box.nextAsk(), box.pages([page("all", 1, [2])], false), box.nextAsk(), read(box)]).toEqual([
      { after: [{ conversation: "all", seq: 1 }] },
      undefined,
      null,
      ["all 1", "all 2"],
    ]);
  });
});

describe("a new connection", () => {
  test("asks for everything unread, and where it stands in the conversation of all", () => {
    const box = inbox();
    expect(box.nextAsk()).toEqual({ after: [{ conversation: "all", seq: null }] });
    box.connected();
    const asks: (Ask | null)[] = [box.nextAsk(), box.nextAsk()];
    box.pages([], false);
    asks.push(box.nextAsk());
    box.pages([page("all", 7, [])], false);
    asks.push(box.nextAsk());
    expect(asks).toEqual([{ from: "" }, null, { after: [{ conversation: "all", seq: null }] }, null]);
  });

  test("goes on after the last conversation when more are unread than fit one answer", () => {
    const box = inbox();
    box.connected();
    box.nextAsk();
    box.pages([page("all", 0, [1]), page("p2p:1:2", 4, [5])], true);
    expect([box.nextAsk(), read(box)]).toEqual([{ from: "p2p:1:2" }, ["all 1", "p2p:1:2 5"]]);
  });

  test("of a program that kept its cursors asks for what follows them, in private conversations", () => {
    const box = inbox({ cursors: { "p2p:1:2": 9, all: 4 } });
    box.connected();
    box.nextAsk();
    box.pages([page("all", 2, [3, 4, 5])], false);
    expect(box.nextAsk()).toEqual({ after: [{ conversation: "p2p:1:2", seq: 9 }] });
    box.pages([page("p2p:1:2", 9, [10])], false);
    expect(read(box)).toEqual(["all 5", "p2p:1:2 10"]);
  });

  test("does not take a page that begins beyond where the program got for all that follows", () => {
    const box = inbox({ cursors: { [CHAT]: 3 } });
    box.connected();
    box.nextAsk();
    box.pages([page("all", 0, []), page(CHAT, 5, [6])], false);
    const early = read(box);
    expect(box.nextAsk()).toEqual({ after: [{ conversation: CHAT, seq: 3 }] });
    box.pages([page(CHAT, 3, [4, 5, 6])], false);
    expect([early, read(box)]).toEqual([[], [4, 5, 6].map((seq) => `${CHAT} ${seq}`)]);
  });

  test("repeats acknowledgements that were lost on the way", () => {
    const box = settled();
    box.push(message(1));
    read(box);
    box.takeAcks(10);
    box.connected();
    box.nextAsk();
    box.pages([page(CHAT, 0, [1])], false);
    expect([read(box), box.takeAcks(10)]).toEqual([[], [{ conversation: CHAT, seq: 1 }]]);
  });
});

describe("pushes", () => {
  test("in order are handed out at once, duplicates never", () => {
    const box = settled();
    for (const seq of [1, 1, 2, 1, 2, 3, 3]) box.push(message(seq));
    expect(read(box)).toEqual([`${CHAT} 1`, `${CHAT} 2`, `${CHAT} 3`]);
  });

  test("that overtook one another wait for the one before, and nothing is asked", () => {
    const box = settled();
    box.push(message(1));
    box.push(message(3));
    const waiting = [read(box), box.hasFreshHoles, box.nextAsk()];
    box.push(message(2));
    expect([...waiting, read(box), box.hasFreshHoles]).toEqual([
      [`${CHAT} 1`],
      true,
      null,
      [`${CHAT} 2`, `${CHAT} 3`],
      false,
    ]);
  });

  test("behind a hole that does not close are asked for after the hole", () => {
    const box = settled();
    box.push(message(1));
    box.push(message(3));
    box.settle();
    expect(box.nextAsk()).toEqual({ after: [{ conversation: CHAT, seq: 1 }] });
    box.push(message(4));
    box.pages([page(CHAT, 1, [2], 4)], false);
    expect([read(box), box.nextAsk()]).toEqual([[`${CHAT} 1`, `${CHAT} 2`, `${CHAT} 3`, `${CHAT} 4`], null]);
  });

  test("of a conversation in whose middle it begins are handed out after where the device stands", () => {
    const box = settled();
    box.push(message(8));
    expect(box.nextAsk()).toEqual({ after: [{ conversation: CHAT, seq: null }] });
    box.pages([page(CHAT, 6, [7, 8])], false);
    expect(read(box)).toEqual([`${CHAT} 7`, `${CHAT} 8`]);
  });

  test("that the server left out are asked for", () => {
    const box = settled();
    box.push(message(1));
    box.lagging([CHAT]);
    expect(box.nextAsk()).toEqual({ after: [{ conversation: CHAT, seq: 1 }] });
    box.pages([page(CHAT, 1, [2, 3])], false);
    box.lagging([]);
    expect([box.nextAsk(), read(box)]).toEqual([{ from: "" }, [1, 2, 3].map((seq) => `${CHAT} ${seq}`)]);
  });

  test("that retention removed before they were read leave no hole", () => {
    const box = settled();
    box.push(message(1));
    box.push(message(9));
    box.settle();
    box.nextAsk();
    box.pages([{ ...page(CHAT, 1, [7, 8, 9]), through: 9 }], false);
    expect([read(box), box.nextAsk()]).toEqual([[1, 7, 8, 9].map((seq) => `${CHAT} ${seq}`), null]);
  });
});

describe("pages", () => {
  test("go on until the head is reached", () => {
    const box = settled();
    box.lagging([CHAT]);
    box.nextAsk();
    box.pages([page(CHAT, 0, [1, 2], 3)], false);
    expect(box.nextAsk()).toEqual({ after: [{ conversation: CHAT, seq: 2 }] });
    box.pages([page(CHAT, 2, [3])], false);
    expect([box.nextAsk(), read(box)]).toEqual([null, [1, 2, 3].map((seq) => `${CHAT} ${seq}`)]);
  });

  test("are asked for again when the answer did not hold all that was asked", () => {
    const box = settled();
    box.lagging([CHAT, "p2p:1:3"]);
    box.nextAsk();
    box.pages([page(CHAT, 0, [1])], true);
    expect(box.nextAsk()).toEqual({ after: [{ conversation: "p2p:1:3", seq: null }] });
  });

  test("that hold nothing are not asked for again at once", () => {
    const box = settled();
    box.lagging([CHAT]);
    box.nextAsk();
    box.pages([], false);
    const asks = [box.nextAsk(), box.hasFreshHoles];
    box.settle();
    expect([...asks, box.nextAsk()]).toEqual([null, true, { after: [{ conversation: CHAT, seq: null }] }]);
  });
});

describe("own messages", () => {
  test("count as seen when their receipt comes, and are acknowledged", () => {
    const box = settled();
    box.push(message(1));
    box.accepted(CHAT, 2);
    box.push(message(3));
    expect([read(box), box.takeAcks(10)]).toEqual([
      [`${CHAT} 1`, `${CHAT} 3`],
      [{ conversation: CHAT, seq: 3 }],
    ]);
  });

  test("wait for what stands before them", () => {
    const box = settled();
    box.push(message(1));
    box.accepted(CHAT, 3);
    box.push(message(4));
    const before = [read(box), box.takeAcks(10)];
    box.push(message(2));
    expect([...before, read(box), box.takeAcks(10)]).toEqual([
      [`${CHAT} 1`],
      [{ conversation: CHAT, seq: 1 }],
      [`${CHAT} 2`, `${CHAT} 4`],
      [{ conversation: CHAT, seq: 4 }],
    ]);
  });

  test("whose receipt was lost are known by their id", () => {
    const box = settled({ sent: ["mine"] });
    box.connected();
    box.nextAsk();
    box.pages(
      [{ ...page(CHAT, 0, []), through: 1, head: 1, messages: [message(1, { messageId: "mine" })] }],
      false,
    );
    box.accepted(CHAT, 1);
    expect([read(box), box.takeAcks(10)]).toEqual([[], [{ conversation: CHAT, seq: 1 }]]);
  });

  test("of another device are handed out", () => {
    const box = settled();
    box.push(message(1, { senderId: ME }));
    expect(box.take()?.message.own).toBe(true);
  });
});

describe("acknowledgements", () => {
  test("of one's own messages wait for what stands before them to be done with", () => {
    const box = settled();
    box.push(message(1));
    box.accepted(CHAT, 2);
    const before = box.takeAcks(10);
    read(box);
    expect([before, box.takeAcks(10)]).toEqual([[], [{ conversation: CHAT, seq: 2 }]]);
  });

  test("wait until the application is done with a message", () => {
    const box = settled();
    box.push(message(1));
    box.push(message(2));
    const first = box.take()!;
    const before = box.takeAcks(10);
    const told = box.done(first);
    expect([before, told, box.takeAcks(10)]).toEqual([
      [],
      { conversation: CHAT, seq: 1 },
      [{ conversation: CHAT, seq: 1 }],
    ]);
  });

  test("are told one per conversation, and so many at a time", () => {
    const box = settled();
    for (const peer of [2, 3, 4])
      for (const seq of [1, 2]) box.push(message(seq, { conversation: `p2p:1:${peer}` }));
    read(box);
    expect([box.takeAcks(2), box.ackCount]).toEqual([
      [
        { conversation: "p2p:1:2", seq: 2 },
        { conversation: "p2p:1:3", seq: 2 },
      ],
      1,
    ]);
  });
});

test("an application that does not read makes nothing grow, and misses nothing", () => {
  const box = settled({ maxUnread: 10 });
  const log = Array.from({ length: 100 }, (_, i) => message(i + 1));
  for (const one of log) box.push(one);
  const unread = box.unread;
  const seen: string[] = [];
  while (seen.length < log.length) {
    seen.push(...read(box));
    const ask = box.nextAsk() as { after: { seq: number }[] };
    const after = ask.after[0]!.seq;
    box.pages(
      [{ ...page(CHAT, after, []), through: after + 5, head: 100, messages: log.slice(after, after + 5) }],
      false,
    );
    expect(box.unread).toBeLessThanOrEqual(10);
    if (after + 5 === 100) seen.push(...read(box));
  }
  expect([unread, seen]).toEqual([10, log.map(({ seq }) => `${CHAT} ${seq}`)]);
});

/** A server as the inbox sees it: it may reorder, repeat and lose pushes, and lose connections with what is on them. */
class Chaos {
  readonly conversations = ["all", "p2p:1:2", "p2p:1:3"];
  readonly logs = new Map<string, Message[]>();
  readonly stored = new Map<string, number>();
  readonly #past = new Map<string, number>();
  readonly sent = new Set<string>();
  readonly seen = new Map<string, number[]>();
  readonly box: Inbox;
  /** What is on the connection to the client, and from it. */
  #wire: (() => void)[] = [];
  #acks: (() => void)[] = [];
  readonly #done = new Set<string>();
  #handed: NonNullable<ReturnType<Inbox["take"]>>[] = [];
  #ids = 0;

  constructor(readonly random: () => number) {
    for (const conversation of this.conversations) {
      // Two conversations have a past that the device has read.
      const past = conversation === "p2p:1:3" ? 0 : this.#below(4);
      this.logs.set(
        conversation,
        Array.from({ length: past }, (_, i) => message(i + 1, { conversation })),
      );
      this.stored.set(conversation, past);
      this.#past.set(conversation, past);
      this.seen.set(conversation, []);
    }
    this.box = new Inbox({ maxUnread: 6, isSent: ({ messageId }) => this.sent.has(messageId) });
    this.box.connected();
  }

  step(): void {
    const actions = [
      () => this.#say(2, 1),
      () => this.#say(2, 2),
      () => this.#say(ME, 1),
      () => this.#receive(),
      () => this.#receive(),
      () => this.#read(),
      () => this.#read(),
      () => this.#acknowledge(),
      () => this.#ask(),
      () => this.box.settle(),
      () => this.#below(4) === 0 && this.#reconnect(),
      () => this.#below(4) === 0 && this.#lag(),
    ];
    actions[this.#below(actions.length)]!();
  }

  /** Nothing more is said, and what is on the wire arrives: is all of it read in the end? */
  finish(): void {
    for (let i = 0; i < 500; i++) {
      while (this.#wire.length > 0) this.#receive();
      this.#read();
      this.#acknowledge();
      this.box.settle();
      this.#ask();
    }
  }

  #say(senderId: number, times: number): void {
    const conversation = this.conversations[this.#below(3)]!;
    const log = this.logs.get(conversation)!;
    const messageId = `${senderId}-${this.#ids++}`;
    const said = message(log.length + 1, { conversation, senderId, messageId });
    log.push(said);
    if (senderId === ME) {
      this.sent.add(messageId);
      if (this.#below(5) > 0) this.#send(() => this.box.accepted(conversation, said.seq));
    } else if (this.#below(8) > 0) {
      for (let i = 0; i < times; i++) this.#send(() => this.box.push(said));
    } else this.#send(() => this.box.lagging([conversation]));
  }

  #lag(): void {
    this.#send(() => this.box.lagging([]));
  }

  #send(frame: () => void): void {
    this.#wire.splice(this.#wire.length - this.#below(3), 0, frame);
  }

  #receive(): void {
    this.#wire.shift()?.();
  }

  #read(): void {
    for (const entry of this.#handed.splice(0)) {
      this.box.done(entry);
      this.#done.add(`${entry.message.conversation} ${entry.message.seq}`);
    }
    const entry = this.box.take();
    if (!entry) return;
    this.#handed.push(entry);
    this.seen.get(entry.message.conversation)!.push(entry.message.seq);
  }

  #acknowledge(): void {
    for (const { conversation, seq } of this.box.takeAcks(2)) {
      this.#checkDone(conversation, seq);
      this.#acks.push(() => this.stored.set(conversation, Math.max(seq, this.stored.get(conversation)!)));
    }
    for (const arrive of this.#acks.splice(0, this.#below(3))) arrive();
  }

  /** Nothing is acknowledged that the application may still lose. */
  #checkDone(conversation: string, seq: number): void {
    const unread = this.logs
      .get(conversation)!
      .slice(this.#past.get(conversation), seq)
      .filter((one) => !this.sent.has(one.messageId) && !this.#done.has(`${conversation} ${one.seq}`));
    if (unread.length > 0) throw new Error(`${conversation} ${seq} acknowledged, ${unread.length} unread`);
  }

  #ask(): void {
    const ask = this.box.nextAsk();
    if (!ask) return;
    const asked =
      "from" in ask
        ? this.conversations
            .filter((one) => one > ask.from && this.stored.get(one)! < this.logs.get(one)!.length)
            .map((conversation) => ({ conversation, seq: null }))
        : ask.after;
    // The answer may hold fewer conversations than asked for, and fewer messages than there are.
    const fitting = asked.slice(0, 1 + this.#below(3));
    const pages = fitting.map(({ conversation, seq }) => {
      const log = this.logs.get(conversation)!;
      const after = seq ?? this.stored.get(conversation)!;
      const messages = log.slice(after, after + 1 + this.#below(3));
      return { conversation, after, through: after + messages.length, head: log.length, messages };
    });
    this.#wire.push(() => this.box.pages(pages, fitting.length < asked.length));
  }

  #reconnect(): void {
    this.#wire = [];
    this.#acks = [];
    this.box.connected();
  }

  #below(limit: number): number {
    return Math.floor(this.random() * limit);
  }
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

test("whatever the interleaving of pushes, duplicates, holes, pages, receipts and reconnects: exactly once, in order", () => {
  for (let seed = 0; seed < 300; seed++) {
    const chaos = new Chaos(seeded(seed));
    const past = new Map(chaos.stored);
    for (let i = 0; i < 300; i++) chaos.step();
    chaos.finish();
    const want = new Map(
      chaos.conversations.map((conversation) => [
        conversation,
        chaos.logs
          .get(conversation)!
          .filter(({ seq, messageId }) => seq > past.get(conversation)! && !chaos.sent.has(messageId))
          .map(({ seq }) => seq),
      ]),
    );
    const heads = new Map(chaos.conversations.map((one) => [one, chaos.logs.get(one)!.length]));
    expect({ seed, seen: chaos.seen, acknowledged: chaos.stored }).toEqual({
      seed,
      seen: want,
      acknowledged: heads,
    });
  }
});
