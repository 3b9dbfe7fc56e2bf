/** Both engines, given the same by chance, do the same: what a list of cases leaves out. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Appended, Draft, Stored } from "../../route/store/log.ts";
import { openRedis } from "../../route/store/redis.ts";
import { openSqlite } from "../../route/store/sqlite.ts";
import { Random } from "../chaos/random.ts";
import { redisMissing, startRedis } from "../support/redis.ts";

// Real processes are started, and some of the batches are large.
setDefaultTimeout(60 * 1000);

const ROUNDS = 120;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe.skipIf(redisMissing !== null)(
  redisMissing ? `both engines alike (${redisMissing})` : "both engines alike",
  () => {
    for (const seed of [1, 2, 3])
      test(`what is appended, retried, pushed and trimmed by chance is the same in both (seed ${seed})`, async () => {
        await using server = await startRedis();
        const random = new Random(seed);
        const sqlite = await openSqlite(":memory:");
        const engines = [await openRedis(server.url, silent), sqlite];
        const both = <T>(call: (log: (typeof engines)[0]["log"]) => Promise<T>) =>
          Promise.all(engines.map(({ log }) => call(log)));
        const names = new Set<string>();
        let fresh = 0;
        for (let round = 1; round <= ROUNDS; round++) {
          const drafts = batch(random, round, () => `new ${fresh++}`);
          const [inRedis, inSqlite] = await both((log) => log.append(drafts));
          expect({ round, appended: inRedis }).toEqual({ round, appended: inSqlite! });
          for (const { conversation } of drafts) names.add(conversation);
          // Also those that have settled are alike.
          if (random.next() < 0.2) sqlite.log.settleNow();
          const pushed = placesOf(drafts, inSqlite!).filter(() => random.next() < 0.7);
          if (random.next() < 0.7) await both((log) => log.pushed(pushed));
          if (round % 10 > 0) continue;
          const [marked, markedToo] = await both(async (log) => inOrder(await log.unpushed(Infinity, 1e6)));
          expect({ round, marked }).toEqual({ round, marked: markedToo });
          if (round % 40 > 0) continue;
          const [trimmed, trimmedToo] = await both((log) => log.trim(round - 20, 1e6));
          expect({ round, trimmed }).toEqual({ round, trimmed: trimmedToo });
          for (const name of names) {
            const limit = { messages: random.between(1, 300), bytes: 20_000 };
            const at = random.between(0, 1000);
            const [page, pageToo] = await both((log) => log.read(name, at, limit));
            const [past, pastToo] = await both((log) => log.history(name, at, limit));
            expect({ round, page, past }).toEqual({ round, page: pageToo!, past: pastToo! });
          }
        }
        for (const { close } of engines) await close();
      });
  },
);

/** For a few conversations: some messages new, some known from earlier or from the same batch; some batches of many lots. */
function batch(random: Random, at: number, fresh: () => string): Draft[] {
  const conversations = random.between(1, 8);
  const size = random.next() < 0.05 ? 1200 : random.between(1, 30);
  return Array.from({ length: size }, (): Draft => {
    const low = random.between(1, conversations);
    const conversation = random.next() < 0.1 ? "all" : `p2p:${low}:${low + 100}`;
    const messageId = random.next() < 0.3 ? `known ${random.between(1, 30)} 张` : fresh();
    const senderId = random.pick([low, low + 100]);
    return { conversation, senderId, messageId, at, bytes: new TextEncoder().encode(`${at} ${messageId}`) };
  });
}

function placesOf(drafts: readonly Draft[], appended: readonly Appended[]) {
  return drafts.map(({ conversation }, i) => ({ conversation, seq: appended[i]!.seq }));
}

/** Within a conversation it is told; between two of them there is none. */
function inOrder(messages: readonly Stored[]): [string, string][] {
  const order = ({ conversation, seq }: Stored) => `${conversation} ${String(seq).padStart(6, "0")}`;
  return messages
    .map((message): [string, string] => [order(message), new TextDecoder().decode(message.bytes)])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
