/** Acknowledgements, by hand: AckSchema says the same. */
import { WireReader, type WireWriter } from "./wire.ts";

/** Everything in `conversation` up to and including `seq` has reached the application. */
export interface Cursor {
  conversation: string;
  seq: number;
}

export function writeAck(writer: WireWriter, cursors: readonly Cursor[]): void {
  for (const { conversation, seq } of cursors) {
    const cursor = writer.begin(1);
    writer.text(1, conversation);
    writer.number(2, seq);
    writer.end(cursor);
  }
}

/** @throws WireError for what is no Ack */
export function decodeAck(ack: Uint8Array): Cursor[] {
  const cursors: Cursor[] = [];
  const reader = new WireReader(ack);
  while (reader.next()) {
    if (reader.field === 1) cursors.push(decodeCursor(reader.bytes()));
    else reader.skip();
  }
  return cursors;
}

function decodeCursor(bytes: Uint8Array): Cursor {
  const cursor: Cursor = { conversation: "", seq: 0 };
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) cursor.conversation = reader.text();
    else if (reader.field === 2) cursor.seq = reader.number();
    else reader.skip();
  }
  return cursor;
}
