/** Acknowledgements, by hand: AckSchema says the same. */
import type { WireReader, WireWriter } from "./wire.ts";

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

/** The Ack that the reader is in. @throws WireError for what is none */
export function readAck(reader: WireReader): Cursor[] {
  const cursors: Cursor[] = [];
  while (reader.next()) {
    if (reader.field === 1) cursors.push(readCursor(reader));
    else reader.skip();
  }
  return cursors;
}

function readCursor(reader: WireReader): Cursor {
  const cursor: Cursor = { conversation: "", seq: 0 };
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) cursor.conversation = reader.text();
    else if (reader.field === 2) cursor.seq = reader.number();
    else reader.skip();
  }
  reader.leave(outer);
  return cursor;
}
