import { encodeMessage, type Unplaced } from "../../proto/message.ts";

const NOTHING: Unplaced = {
  conversation: "all",
  messageId: "",
  senderId: 0,
  senderName: "",
  at: 0,
  content: { case: "text", value: "" },
};

/** An encoded message of which only some fields matter. */
export function encoded(message: Partial<Unplaced>): Uint8Array<ArrayBuffer> {
  return encodeMessage({ ...NOTHING, ...message });
}
