/** The values that calls are made of: what each must be, in the words an error and the documentation use. */
import { z } from "zod";
import { parseConversation } from "../proto/conversation.ts";
import { MAX_MESSAGE_ID_LENGTH } from "../proto/frame.ts";
import { CimError } from "../proto/status.ts";
import { checkContent, checkMessageId } from "./accept.ts";
import { checkName, checkPassword, MAX_NAME_LENGTH, MIN_PASSWORD_LENGTH, normalName } from "./names.ts";

const MAX_REQ_NO_LENGTH = 256;

export const userId = wholeNumber(1, Number.MAX_SAFE_INTEGER).meta({
  description: "An account",
  examples: [1],
});

export const userName = text("a name")
  .overwrite(normalName)
  .check(rule(checkName))
  .meta({
    description: "After NFC and trim",
    minLength: 1,
    maxLength: MAX_NAME_LENGTH,
    examples: ["zhangsan"],
  });

export const device = text("a name of the device")
  .overwrite(normalName)
  .check(rule(checkName))
  .meta({ description: "The device, for `multi` logins", minLength: 1, maxLength: MAX_NAME_LENGTH });

/** A password that is being chosen; one that is only tried may be anything. */
export const newPassword = text("a password")
  .check(rule(checkPassword))
  .meta({ minLength: MIN_PASSWORD_LENGTH, format: "password" });

export const messageId = text("a messageId").check(rule(checkMessageId)).meta({
  description: "Chosen by the sender: the same again is the same message, not a second one",
  minLength: 1,
  maxLength: MAX_MESSAGE_ID_LENGTH,
});

export const messageText = text("a text")
  .check(rule((value) => checkContent({ case: "text", value })))
  .meta({ minLength: 1, examples: ["hello"] });

/** Bytes, in base64 on the wire. */
export const messageData = text("base64")
  .check(rule((value) => checkContent({ case: "data", value: fromBase64(value) })))
  .meta({ description: "Bytes instead of a text, in base64", contentEncoding: "base64" });

/** The other account of a private conversation, or a conversation's name. */
export const peer = z
  .union([userId, z.string().check(rule(parseConversation))], {
    error: 'want a userId, "all" or "p2p:<lower id>:<higher id>"',
  })
  .meta({ description: 'A userId, or a conversation: "all" or "p2p:<lower id>:<higher id>"' });

/** What any request may carry. */
export const COMMON = {
  reqNo: limitedText(MAX_REQ_NO_LENGTH).nullish().meta({ description: "Answered as it is" }),
};

export function text(what: string) {
  return z.string({ error: `want ${what}` });
}

/** A text that is only kept or compared. */
export function limitedText(max: number) {
  return text("a text").max(max, { error: `limit ${max} characters` });
}

export function wholeNumber(min: number, max: number) {
  const error = `want a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** A whole number, given as text in a query. */
export function queryNumber(min: number, max: number, value: number) {
  const error = `want a whole number from ${min} to ${max}`;
  return z.coerce.number({ error }).int({ error }).min(min, { error }).max(max, { error }).default(value);
}

/** @throws CimError INVALID */
export function fromBase64(value: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(value);
  } catch (error) {
    throw new CimError("INVALID", "want base64", { cause: error });
  }
}

/** The rule as a schema's check: what it throws becomes the words of the issue. */
function rule(check: (value: string) => unknown): (context: z.core.ParsePayload<string>) => void {
  return (context) => {
    try {
      check(context.value);
    } catch (error) {
      if (!(error instanceof CimError)) throw error;
      context.issues.push({ code: "custom", message: error.message, input: context.value });
    }
  };
}
