/** What clients send and are answered, by hand: SendSchema and SentSchema say the same. */
import type { Content } from "./message.ts";
import { readText, WireError, WireReader, WireWriter } from "./wire.ts";

/** One message of a Send. Texts are valid UTF-8; a message without content has an empty text. */
export interface Outgoing {
  conversation: string;
  messageId: string;
  content: Content;
}

/** One receipt of a Sent. */
export interface WireReceipt {
  messageId: string;
  code: string;
  text: string;
  seq: number;
  at: number;
}

/** Messages of one Send: each costs its receipt, however small it is. */
const MAX_MESSAGES = 256;

const NOTHING = new Uint8Array();
const writer = new WireWriter();

/** The messages of an encoded Send; their content is a view of it. @throws WireError for what is none, or too many */
export function decodeSend(send: Uint8Array): Outgoing[] {
  const messages: Outgoing[] = [];
  const reader = new WireReader(send);
  // All of a Send are mostly for one conversation: its name is read once.
  let named: { bytes: Uint8Array; name: string } | null = null;
  const nameOf = (bytes: Uint8Array) => {
    if (named === null || !equal(named.bytes, bytes)) named = { bytes, name: readText(bytes) };
    return named.name;
  };
  while (reader.next()) {
    if (reader.field !== 1) reader.skip();
    else if (messages.push(readOutgoing(reader, nameOf)) > MAX_MESSAGES)
      throw new WireError(`more than ${MAX_MESSAGES} messages in one send`);
  }
  return messages;
}

function readOutgoing(reader: WireReader, nameOf: (bytes: Uint8Array) => string): Outgoing {
  const outgoing: Outgoing = { conversation: "", messageId: "", content: { case: "text", value: NOTHING } };
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) outgoing.conversation = nameOf(reader.bytes());
    else if (reader.field === 2) outgoing.messageId = reader.text();
    else if (reader.field === 3) outgoing.content = { case: "text", value: utf8(reader.bytes()) };
    else if (reader.field === 4) outgoing.content = { case: "data", value: reader.bytes() };
    else reader.skip();
  }
  reader.leave(outer);
  return outgoing;
}

export function encodeSent(receipts: readonly WireReceipt[]): Uint8Array<ArrayBuffer> {
  writer.clear();
  for (const { messageId, code, text, seq, at } of receipts) {
    const receipt = writer.begin(1);
    writer.text(1, messageId);
    writer.text(2, code);
    writer.text(3, text);
    writer.number(4, seq);
    writer.number(5, at);
    writer.end(receipt);
  }
  return writer.take();
}

function utf8(bytes: Uint8Array): Uint8Array {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i]! < 0x80) continue;
    readText(bytes);
    break;
  }
  return bytes;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
