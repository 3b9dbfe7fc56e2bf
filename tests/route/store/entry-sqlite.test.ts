import { expect, test } from "bun:test";
import { DamagedRow, EntryReader, maxEntryHead, writeEntryHead } from "../../../route/store/entry-sqlite.ts";

const ENTRIES = [
  { seq: 1, senderId: 0, at: 0, messageId: "", bytes: new Uint8Array() },
  { seq: 300, senderId: 7, at: 1_763_800_000_000, messageId: "a-1", bytes: new Uint8Array([1, 2, 3]) },
  {
    seq: 2 ** 53 - 1,
    senderId: 2 ** 53 - 1,
    at: 2 ** 53 - 1,
    messageId: "\uFEFF消息 🙂",
    bytes: new Uint8Array(200),
  },
];

function rowOf(entries: typeof ENTRIES): Uint8Array {
  const room = entries.reduce((sum, { messageId, bytes }) => sum + maxEntryHead(messageId) + bytes.length, 0);
  const row = new Uint8Array(room);
  let end = 0;
  for (const entry of entries) {
    const content = writeEntryHead(row, end, entry, entry.seq, entry.bytes.length);
    row.set(entry.bytes, content);
    end = content + entry.bytes.length;
  }
  return row.slice(0, end);
}

test("entries are read as they were written", () => {
  const reader = new EntryReader(rowOf(ENTRIES));
  const read: unknown[] = [];
  while (reader.next()) {
    const { seq, senderId, at, messageId } = reader;
    read.push({ seq, senderId, at, messageId, bytes: reader.bytes() });
  }
  expect(read).toEqual(ENTRIES);
});

test("an entry is these bytes", () => {
  expect(rowOf(ENTRIES.slice(1, 2)).toHex()).toBe("ac020780ccb0d5aa3303612d3103010203");
});

const whole = rowOf(ENTRIES.slice(1, 2));
for (let length = 1; length < whole.length; length++)
  test(`a row that ends after ${length} of ${whole.length} bytes is called damaged`, () => {
    expect(() => new EntryReader(whole.slice(0, length)).next()).toThrow(DamagedRow);
  });
