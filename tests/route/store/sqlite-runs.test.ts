/** Messages that have settled, as runs: whatever is appended, trimmed and read, they are those of a plain list. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Draft, Stored } from "../../../route/store/log.ts";
import { openSqlite } from "../../../route/store/sqlite.ts";
import { Random } from "../../chaos/random.ts";

// Files are opened again and again.
setDefaultTimeout(60 * 1000);

const LATE = Number.MAX_SAFE_INTEGER;
const CONVERSATIONS = ["all", "p2p:1:2", "p2p:1:3"];

interface Message extends Draft {
  seq: number;
  marked: boolean;
}

const seqs = (messages: readonly { seq: number }[]) => messages.map(({ seq }) => seq);
const names = (messages: readonly { conversation: string; seq: number }[]) =>
  messages.map(({ conversation, seq }) => `${conversation} ${seq}`).sort();

for (const seed of [1, 2, 3])
  test(`what is appended, pushed, read and forgotten by chance is as in a list (seed ${seed})`, async () => {
    const directory = mkdtempSync(join(tmpdir(), "cim-sqlite-"));
    const random = new Random(seed);
    let store = await openSqlite(join(directory, "cim.db"));
    const heads = new Map<string, number>();
    let list: Message[] = [];
    let count = 0;

    function draft(): Draft {
      const bytes = new Uint8Array(random.next() < 0.02 ? 9000 : random.between(0, 300));
      // A clock that goes on, and sometimes back.
      const at = 1000 + Math.floor(count / 10) * 10 + random.between(-300, 0);
      const messageId = random.next() < 0.5 ? `m${count}` : `消息 ${count}`;
      const conversation = random.pick(CONVERSATIONS);
      return { conversation, senderId: random.between(1, 2), messageId, at, bytes };
    }

    for (let round = 0; round < 150; round++) {
      const fresh = Array.from({ length: random.between(1, 60) }, () => draft()).map((one, i) => ({
        ...one,
        messageId: `${one.messageId} ${count + i}`,
      }));
      const again = list.length === 0 ? [] : [random.pick(list), random.pick(list)];
      const appended = await store.log.append([...again, ...fresh]);
      count += fresh.length;
      const added = fresh.map((one): Message => {
        const seq = (heads.get(one.conversation) ?? 0) + 1;
        heads.set(one.conversation, seq);
        return { ...one, seq, marked: true };
      });
      expect({ round, appended }).toEqual({
        round,
        appended: [
          ...again.map(({ seq, at }) => ({ seq, at, retry: true })),
          ...added.map(({ seq, at }) => ({ seq, at, retry: false })),
        ],
      });
      list.push(...added);

      if (random.next() < 0.4) store.log.settleNow();
      const pushed = list.filter(({ marked }) => marked && random.next() < 0.8);
      for (const message of pushed) message.marked = false;
      await store.log.pushed(pushed);
      if (random.next() < 0.2) {
        const [at, limit] = [1000 + count - random.between(0, 800), random.between(1, 200)];
        const old = list.filter((message) => message.at < at);
        const forgotten = await store.log.trim(at, limit);
        expect({ round, forgotten }).toEqual({ round, forgotten: Math.min(limit, old.length) });
        // Which of the old ones, if not all, is its own affair.
        const left = new Set((await everything()).map(({ conversation, seq }) => `${conversation} ${seq}`));
        list = list.filter((one) => one.at >= at || left.has(`${one.conversation} ${one.seq}`));
      }
      if (random.next() < 0.05) {
        await store.close();
        store = await openSqlite(join(directory, "cim.db"));
        for (const message of await store.log.unpushed(LATE, 1e6))
          list.find(
            ({ conversation, seq }) => conversation === message.conversation && seq === message.seq,
          )!.marked = true;
      }

      expect(names(await everything())).toEqual(names(list));
      const at = 1000 + count - random.between(0, 300);
      const marked = await store.log.unpushed(at, 1e6);
      expect(names(marked)).toEqual(names(list.filter((message) => message.marked && message.at < at)));
      for (const conversation of CONVERSATIONS) {
        const its = list.filter((message) => message.conversation === conversation);
        expect(seqs(marked.filter((message) => message.conversation === conversation))).toEqual(
          seqs(its.filter((message) => message.marked && message.at < at)),
        );
        const limit = { messages: random.between(1, 100), bytes: 1e6 };
        const from = random.between(0, heads.get(conversation) ?? 0);
        const after = its.filter(({ seq }) => seq > from);
        expect(seqs((await store.log.read(conversation, from, limit)).messages)).toEqual(
          seqs(after.slice(0, limit.messages)),
        );
        const before = its.filter(({ seq }) => seq < from);
        expect(seqs(await store.log.history(conversation, from, limit))).toEqual(
          seqs(before.slice(-limit.messages)),
        );
      }
    }
    await store.close();
    rmSync(directory, { recursive: true });

    async function everything(): Promise<Stored[]> {
      const limit = { messages: 1e6, bytes: Number.POSITIVE_INFINITY };
      const pages = await Promise.all(CONVERSATIONS.map((name) => store.log.read(name, 0, limit)));
      return pages.flatMap(({ messages }) => messages);
    }
  });
