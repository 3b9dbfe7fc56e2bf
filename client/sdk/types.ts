/** What a program that uses the SDK sees. */
import type { Logger } from "../../common/logger.ts";
import type { Clock } from "./clock.ts";
import type { Dial } from "./transport.ts";

export interface ConnectOptions {
  /** Where the route is: http://host:port, or https. */
  routeUrl: string;
  userName: string;
  /** Needed for the first login under CIM_AUTH=password; kept to log in again when a session cannot be resumed. */
  password?: string;
  /** Needed under CIM_AUTH=open when the name is not known yet; otherwise found out by the login. */
  userId?: number;
  /** A session's token from an earlier run: it is resumed, and the password only used if that is refused. */
  token?: string;
  /** Register the name if the login does not know it. Default false. */
  register?: boolean;
  /** Under CIM_LOGIN_POLICY=multi an account has one session per device. Default "default". */
  device?: string;
  /** Where the program keeps how far it got. With it, messages are handed out exactly once even if it crashes. */
  cursors?: CursorStore;
  /** Milliseconds before try number `attempt` (0 is the first). Default: see common/backoff.ts. */
  backoff?: (attempt: number) => number;
  /** How often `connect` tries before it gives up; a lost connection is looked for without end. Default 5. */
  loginAttempts?: number;
  /** Messages kept for an application that does not read; what follows stays on the server until it does. Default 1000. */
  maxUnread?: number;
  /** How long a message may wait for its receipt. Default 30 s. */
  sendTimeoutMs?: number;
  /** Told all that `status` tells, from the first try on. */
  onStatus?: (status: Status) => void;
  log?: Logger;
  fetch?: (request: Request) => Promise<Response>;
  /** How a server is reached. Default: TCP under Bun, a WebSocket everywhere else. */
  transport?: Dial;
  clock?: Clock;
}

/** Kept by the program, best together with what it does with the messages. */
export interface CursorStore {
  /** Conversation → seq of the last message that is done with. Asked once. */
  load(): Promise<Record<string, number>>;
  /** Called after the application is done with a message and before the server is told. May do nothing if the application stores `seq` itself. */
  save(conversation: string, seq: number): Promise<void>;
}

export interface Message {
  /** "all" or "p2p:<lower id>:<higher id>". */
  conversation: string;
  /** Its place in the conversation: 1, 2, 3 … */
  seq: number;
  /** Chosen by the sender. */
  messageId: string;
  sender: User;
  /** When it was accepted. */
  at: Date;
  /** One of the two. */
  text?: string;
  data?: Uint8Array;
  /** Sent by this account: on another device, or before this client was there. */
  own: boolean;
}

export interface User {
  userId: number;
  userName: string;
}

/** The message is stored, as `seq` of its conversation. */
export interface Receipt {
  conversation: string;
  seq: number;
  messageId: string;
  at: Date;
  /** False: the receiver gets it at the next login. */
  receiverOnline: boolean;
}

export interface ServerInfo {
  host: string;
  port: number;
  httpPort: number;
  tls: boolean;
  /** As it is reached from here; "" when the route tells none. */
  webSocketUrl: string;
}

/** The names CIM v2 gives them. */
export type State = "Initialized" | "Connecting" | "Reconnecting" | "Ready" | "Closed" | "Failed";

export type Status =
  | { type: "state"; state: State }
  /** The session has a new token: what a program remembers of the old one is out of date. */
  | { type: "token"; token: string }
  /** The connection is gone, or could not be made: why, and how long until the next try. */
  | { type: "waiting"; reason: string; text: string; attempt: number; delayMs: number };

/** Why a client ended: "closed", "detached", "refused" (its credentials), or the name of a goodbye (proto/status.ts). */
export interface Closed {
  reason: string;
  text: string;
}
