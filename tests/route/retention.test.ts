import { expect, test } from "bun:test";
import { ALL } from "../../proto/conversation.ts";
import { Retention } from "../../route/retention.ts";
import { openSqlite } from "../../route/store/sqlite.ts";
import { encoded } from "../support/encoded.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const DAY_MS = 24 * 60 * 60 * 1000;

test("what is older than the retention is forgotten, however much it is, and seqs go on after it", async () => {
  const store = await openSqlite(":memory:");
  const now = Date.now();
  const draft = (at: number, n: number) => ({
    conversation: ALL,
    senderId: 1,
    messageId: `m-${n}`,
    at,
    bytes: encoded({ conversation: ALL, content: { case: "text", value: String(n) } }),
  });
  await store.log.append(Array.from({ length: 1200 }, (_, n) => draft(now - 8 * DAY_MS, n)));
  await store.log.append([draft(now - 6 * DAY_MS, 1200)]);
  const retention = new Retention({ ...store, retentionMs: 7 * DAY_MS, logger: silent, now: () => now });
  await retention.trim();
  retention.stop();
  const kept = await store.log.read(ALL, 0, { messages: 10, bytes: 10_000 });
  const [next] = await store.log.append([draft(now, 1201)]);
  expect({ kept: kept.messages.map((message) => message.seq), next: next!.seq }).toEqual({
    kept: [1201],
    next: 1202,
  });
  await store.close();
});
