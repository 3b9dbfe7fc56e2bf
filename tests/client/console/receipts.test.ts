import { expect, test } from "bun:test";
import type { Event } from "../../../client/console/events.ts";
import { Receipts, type Shown } from "../../../client/console/receipts.ts";

const sent = (seq: number, conversation = "all", receiverOnline = true): Event => ({
  type: "sent",
  to: null,
  text: "",
  conversation,
  seq,
  messageId: String(seq),
  receiverOnline,
});

test("receipts that come at once and follow one another are one line; nothing else changes its place", async () => {
  const lines: string[] = [];
  const receipts = new Receipts((shown: Shown) =>
    lines.push(shown.type === "receipts" ? `${shown.from.seq}-${shown.to.seq}` : shown.type),
  );
  for (const event of [sent(1), sent(2), sent(3), sent(9), { type: "connected" }, sent(10)] as Event[]) {
    receipts.show(event);
  }
  for (const event of [sent(1, "p2p:1:2"), sent(2, "p2p:1:2", false)]) receipts.show(event);
  await new Promise<void>((resolve) => setImmediate(resolve));
  receipts.show(sent(3, "p2p:1:2", false));
  receipts.flush();
  expect(lines).toEqual(["1-3", "9-9", "connected", "10-10", "1-1", "2-2", "3-3"]);
});
