/** Messages on their way from a route to a server, by hand: Downlink in link.proto says the same. */
import { fromBinary } from "@bufbuild/protobuf";
import { varintSize } from "./frame.ts";
import { type DownlinkItem, DownlinkItemSchema } from "./gen/link_pb.ts";
import { SEQ_FIELD } from "./message.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** A link.Delivery. */
export interface Delivery {
  /** An encoded cim.Message. On its way out without its seq, which is put behind it. */
  message: Uint8Array;
  conversation: string;
  seq: number;
  everyone: boolean;
  userIds: readonly number[];
  /** 0: nobody. */
  exceptUserId: number;
  /** "": no session. */
  exceptSessionId: string;
}

/** An item of a Downlink: a delivery, or anything else there is. */
export type Downlinked = { delivery: Delivery } | { other: DownlinkItem["body"] };

const ITEM = 1;
const DELIVERY = 1;
const NOTHING = new Uint8Array();

/** Writes deliveries as items of a Downlink into the same room. A Downlink is its items one after another. */
export class DeliveryWriter {
  readonly #writer = new WireWriter();

  /** Bytes since the last `clear`. */
  get length(): number {
    return this.#writer.length;
  }

  clear(): void {
    this.#writer.clear();
  }

  add(delivery: Delivery): void {
    const writer = this.#writer;
    const item = writer.begin(ITEM);
    const inner = writer.begin(DELIVERY);
    writer.beginOf(1, delivery.message.length + 1 + varintSize(delivery.seq));
    writer.raw(delivery.message);
    writer.number(SEQ_FIELD, delivery.seq);
    writer.text(2, delivery.conversation);
    writer.number(3, delivery.seq);
    writer.number(4, delivery.everyone ? 1 : 0);
    writer.numbers(5, delivery.userIds);
    writer.number(6, delivery.exceptUserId);
    writer.text(7, delivery.exceptSessionId);
    writer.end(inner);
    writer.end(item);
  }

  /** What was written since the last `clear`, as a copy. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#writer.take();
  }
}

/** @throws Error for what is no Downlink. Messages are views of it. */
export function decodeDownlink(bytes: Uint8Array): Downlinked[] {
  const items: Downlinked[] = [];
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === ITEM) items.push(readItem(reader));
    else reader.skip();
  }
  return items;
}

function readItem(reader: WireReader): Downlinked {
  const outer = reader.enter();
  const item =
    reader.peek() === DELIVERY
      ? { delivery: readDelivery(reader) }
      : { other: fromBinary(DownlinkItemSchema, reader.rest()).body };
  reader.leave(outer);
  return item;
}

function readDelivery(reader: WireReader): Delivery {
  const userIds: number[] = [];
  const delivery: Delivery = {
    message: NOTHING,
    conversation: "",
    seq: 0,
    everyone: false,
    userIds,
    exceptUserId: 0,
    exceptSessionId: "",
  };
  reader.next();
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) delivery.message = reader.bytes();
    else if (reader.field === 2) delivery.conversation = reader.text();
    else if (reader.field === 3) delivery.seq = reader.number();
    else if (reader.field === 4) delivery.everyone = reader.bool();
    else if (reader.field === 5) reader.numbers(userIds);
    else if (reader.field === 6) delivery.exceptUserId = reader.number();
    else if (reader.field === 7) delivery.exceptSessionId = reader.text();
    else reader.skip();
  }
  reader.leave(outer);
  return delivery;
}
