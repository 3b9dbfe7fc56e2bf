/**
 * Every call there is: where, what it takes, what it answers. The handlers are typed by this table, requests are
 * checked against it, and /openapi.json is made from it. CIM v2's calls and fields come first; a request with none
 * but those is answered with none but those.
 */
import { z } from "zod";
import type { StatusName } from "../proto/status.ts";
import {
  COMMON,
  device,
  limitedText,
  messageData,
  messageId,
  messageText,
  newPassword,
  peer,
  queryNumber,
  text,
  userId,
  userName,
  wholeNumber,
} from "./schemas.ts";

export interface Endpoint<I extends z.ZodObject = z.ZodObject, O extends z.ZodType = z.ZodType> {
  method: "POST" | "GET";
  path: string;
  /** What it is about, for the documentation. */
  tag: "accounts and sessions" | "messages" | "people";
  summary: string;
  /** Whose token it takes in `password` mode. */
  token: "none" | "any" | "user's";
  /** The JSON body of a POST, the query of a GET. */
  takes: I;
  /** A request that works, for the documentation. */
  example?: Record<string, unknown>;
  /** The answer's dataBody. */
  answers: O;
  /** What it may answer beside 9000, 3000 and 4000. */
  may: readonly StatusName[];
}

/** Users of one page of /onlineUser, and messages of one of /history, at most. */
export const MAX_USERS = 1000;
export const MAX_HISTORY = 200;
/** Messages in one `batchMsg`. */
export const MAX_BATCH = 100;

const batch = z
  .array(messageText, { error: "want a list of texts" })
  .min(1, { error: "want at least one text" })
  .max(MAX_BATCH, { error: ({ input }) => `${(input as string[]).length} texts, limit ${MAX_BATCH}` })
  .meta({ description: "Several texts, in order, instead of one" });

const content = {
  msg: messageText.nullish(),
  batchMsg: batch.nullish(),
  messageId: messageId.nullish(),
  data: messageData.nullish(),
};

const account = z.object({ userId, userName });

const placed = z.object({
  messageId,
  seq: z.int().meta({ description: "Its place in the conversation; 0 when it was refused", examples: [1] }),
  conversation: z.string(),
  code: z.string().optional().meta({ description: "Only in a batch of which a part was refused" }),
});

const sent = z.union([z.null(), placed, z.array(placed)]).meta({
  description: "null for a CIM v2 request; a list for a batch",
  examples: [{ messageId: "m-1", seq: 1, conversation: "p2p:1:2" }],
});

export const API = {
  registerAccount: {
    method: "POST",
    path: "/registerAccount",
    tag: "accounts and sessions",
    summary: "Make an account, or find the one of this name",
    token: "none",
    takes: z.object({ userName, ...COMMON, password: newPassword.nullish(), device: device.nullish() }),
    example: { userName: "zhangsan", password: "correct horse" },
    answers: account,
    may: ["ACCOUNT_MISMATCH", "RATE_LIMITED"],
  },
  login: {
    method: "POST",
    path: "/login",
    tag: "accounts and sessions",
    summary: "Log in, or take a session back with its token, and be given a server",
    token: "none",
    takes: z.object({
      userId: userId.nullish(),
      userName: userName.nullish(),
      ...COMMON,
      password: text("a password").nullish().meta({ format: "password" }),
      device: device.nullish(),
    }),
    example: { userName: "zhangsan", password: "correct horse", device: "phone" },
    answers: z.object({
      ip: z.string().meta({ examples: ["192.0.2.7"] }),
      cimServerPort: z.int().meta({ examples: [11211] }),
      httpPort: z.int().meta({ examples: [8081] }),
      userId: userId.optional(),
      userName: userName.optional(),
      sessionId: z.string().optional(),
      token: z
        .string()
        .optional()
        .meta({ description: "Proof of the session, for the server and for calls" }),
      expiresAt: z
        .int()
        .optional()
        .meta({ description: "When the token ends, milliseconds since 1970", examples: [1795964655252] }),
      tls: z.boolean().optional().meta({ description: "Whether the server's listeners speak TLS" }),
      webSocketUrl: z
        .string()
        .optional()
        .meta({ description: "Where the server takes WebSockets: a URL, or a path on the route's own host" }),
    }),
    may: ["REPEAT_LOGIN", "NO_SERVER", "ACCOUNT_MISMATCH", "UNAUTHORIZED", "FORBIDDEN", "RATE_LIMITED"],
  },
  changePassword: {
    method: "POST",
    path: "/changePassword",
    tag: "accounts and sessions",
    summary:
      "Give the token's account a new password, and log out its other sessions; with an API key, any account",
    token: "user's",
    takes: z.object({
      userId: userId.nullish(),
      ...COMMON,
      password: newPassword,
      oldPassword: text("a password").nullish().meta({
        description: "Needed if the account has one, but for an API key",
        format: "password",
      }),
    }),
    example: { password: "battery staple", oldPassword: "correct horse" },
    answers: z.null(),
    may: ["UNAUTHORIZED", "FORBIDDEN", "ACCOUNT_MISMATCH", "RATE_LIMITED"],
  },
  offLine: {
    method: "POST",
    path: "/offLine",
    tag: "accounts and sessions",
    summary: "Log out: the token's session, or without a token the user",
    token: "user's",
    takes: z.object({ userId, ...COMMON }),
    example: { userId: 1 },
    answers: z.null(),
    may: ["UNAUTHORIZED", "FORBIDDEN"],
  },
  p2pRoute: {
    method: "POST",
    path: "/p2pRoute",
    tag: "messages",
    summary: "Send to one account; 7000 says that it is stored and the receiver offline",
    token: "user's",
    takes: z.object({
      userId: userId.meta({ description: "The sender" }),
      receiveUserId: userId.meta({ description: "The receiver" }),
      ...COMMON,
      ...content,
    }),
    example: { userId: 1, receiveUserId: 2, msg: "hello", messageId: "m-1" },
    answers: sent,
    may: ["RECEIVER_OFFLINE", "ACCOUNT_MISMATCH", "UNAUTHORIZED", "FORBIDDEN", "RATE_LIMITED", "FALLBACK"],
  },
  groupRoute: {
    method: "POST",
    path: "/groupRoute",
    tag: "messages",
    summary: "Send to everyone online",
    token: "user's",
    takes: z.object({ userId: userId.meta({ description: "The sender" }), ...COMMON, ...content }),
    example: { userId: 1, msg: "hello", messageId: "m-2" },
    answers: sent,
    may: ["ACCOUNT_MISMATCH", "UNAUTHORIZED", "FORBIDDEN", "RATE_LIMITED", "FALLBACK"],
  },
  onlineUser: {
    method: "GET",
    path: "/onlineUser",
    tag: "people",
    summary: "Who is online, by userId; where there are more, a header Link names the next page",
    token: "any",
    takes: z.object({
      ...COMMON,
      limit: queryNumber(1, MAX_USERS, MAX_USERS).meta({ description: "Users in one answer" }),
      after: queryNumber(0, Number.MAX_SAFE_INTEGER, 0).meta({
        description: "Only those with a higher userId",
      }),
      prefix: limitedText(64).optional().meta({ description: "The start of a name" }),
    }),
    answers: z.array(account),
    may: ["UNAUTHORIZED"],
  },
  fetchOfflineMsgs: {
    method: "POST",
    path: "/fetchOfflineMsgs",
    tag: "messages",
    summary: "Have what was kept for a CIM v2 client sent over its connection",
    token: "user's",
    takes: z.object({ receiveUserId: userId, ...COMMON }),
    example: { receiveUserId: 1 },
    answers: z.null(),
    may: ["UNAUTHORIZED", "FORBIDDEN"],
  },
  history: {
    method: "POST",
    path: "/history",
    tag: "messages",
    summary: "Read a conversation backwards, in pages, each oldest first",
    token: "user's",
    takes: z.object({
      peer,
      ...COMMON,
      userId: userId.nullish().meta({ description: "Who reads; the token's user when left out" }),
      before: wholeNumber(1, Number.MAX_SAFE_INTEGER)
        .nullish()
        .meta({ description: "Only messages before this seq" }),
      limit: wholeNumber(1, MAX_HISTORY).nullish(),
    }),
    example: { peer: 2, limit: 20 },
    answers: z.object({
      messages: z.array(
        z.object({
          seq: z.int().meta({ examples: [1] }),
          messageId: z.string(),
          sendUserId: userId,
          sendUserName: z.string(),
          at: z.int().meta({
            description: "When it was accepted, milliseconds since 1970",
            examples: [1795359856073],
          }),
          msg: z.string().optional(),
          data: z.string().optional().meta({ contentEncoding: "base64" }),
        }),
      ),
      before: z
        .int()
        .nullable()
        .meta({ description: "Where the page before this one ends; null: there is none", examples: [null] }),
    }),
    may: ["UNAUTHORIZED", "FORBIDDEN"],
  },
  account: {
    method: "GET",
    path: "/account",
    tag: "people",
    summary: "Find an account by its exact name",
    token: "any",
    takes: z.object({ ...COMMON, name: userName }),
    answers: account,
    may: ["ACCOUNT_MISMATCH", "UNAUTHORIZED", "RATE_LIMITED"],
  },
} as const satisfies Record<string, Endpoint>;

export type Api = typeof API;
export type CallName = keyof Api;
/** What a call is made with, and what its answer holds: for clients. */
export type Takes<N extends CallName> = z.input<Api[N]["takes"]>;
export type Answers<N extends CallName> = z.output<Api[N]["answers"]>;
