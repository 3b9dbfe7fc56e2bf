import { CimError } from "./status.ts";

/** Everyone online: the group chat of CIM. */
export const ALL = "all";

const P2P = /^p2p:([1-9]\d{0,15}):([1-9]\d{0,15})$/;

export type Conversation = { kind: "p2p"; low: number; high: number } | { kind: "all" };

/** The conversation of two accounts; the same whichever is named first. */
export function p2p(a: number, b: number): string {
  return a < b ? `p2p:${a}:${b}` : `p2p:${b}:${a}`;
}

/** @throws CimError INVALID for anything that is not the one spelling of a conversation's name */
export function parseConversation(name: string): Conversation {
  if (name === ALL) return { kind: "all" };
  const match = P2P.exec(name);
  const low = Number(match?.[1]);
  const high = Number(match?.[2]);
  if (!match || !isUserId(low) || !isUserId(high) || low >= high) {
    throw new CimError(
      "INVALID",
      `conversation ${JSON.stringify(name.slice(0, 64))}: want all or p2p:<lower id>:<higher id>`,
    );
  }
  return { kind: "p2p", low, high };
}

/** The other account of a private conversation; null when `userId` is not part of it. */
export function peerOf(conversation: Conversation & { kind: "p2p" }, userId: number): number | null {
  if (userId === conversation.low) return conversation.high;
  return userId === conversation.high ? conversation.low : null;
}

/** A positive integer below 2^53. */
export function isUserId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
