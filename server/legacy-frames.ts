/** Frames as CIM v2 knows them: the part that is the same for all receivers, and the part that names one. */
import { create, toBinary } from "@bufbuild/protobuf";
import { delimit } from "../proto/frame.ts";
import { Command, FrameSchema, type Message } from "../proto/gen/cim_pb.ts";

/** A frame of CIM v2 with one message, but for the receiver. */
export function legacyLive(message: Message): Uint8Array {
  const frame = { cmd: Command.MESSAGE, text: legacyText(message), properties: legacySender(message) };
  return toBinary(FrameSchema, create(FrameSchema, frame));
}

/** A frame of CIM v2 with kept messages of one sender, but for the receiver. */
export function legacyKept(messages: readonly Message[]): Uint8Array {
  const batch = messages.map(legacyText);
  const frame = { cmd: Command.OFFLINE, batch, properties: legacySender(messages[0]!) };
  return toBinary(FrameSchema, create(FrameSchema, frame));
}

/** The part of a frame that names the receiver; encoded messages that stand one behind the other are one (protobuf's merging). */
export function legacyReceiver(userId: number): Uint8Array {
  const frame = { requestId: BigInt(userId), properties: { receiveUserId: String(userId) } };
  return toBinary(FrameSchema, create(FrameSchema, frame));
}

/** CIM v2 knows text alone: data is shown as base64. */
export function legacyText({ content }: Message): string {
  return content.case === "data" ? content.value.toBase64() : (content.value ?? "");
}

function legacySender(message: Message): Record<string, string> {
  return { sendUserId: String(message.senderId), sendUserName: message.senderName };
}

/** The whole frame, with its length. */
export function legacyFrame(shared: Uint8Array, receiver: Uint8Array): Uint8Array {
  const frame = new Uint8Array(shared.length + receiver.length);
  frame.set(shared);
  frame.set(receiver, shared.length);
  return delimit(frame);
}
