/** What is around a connection: the socket beneath it, who is logged in on it, and what all of a server's share. */
import type { Config } from "../common/config.ts";
import type { Logger } from "../common/logger.ts";
import type { Tokens } from "../common/token.ts";
import type { Wheel } from "../common/wheel.ts";
import type { Frame } from "../proto/gen/cim_pb.ts";
import type { Control } from "../proto/message.ts";
import type { Capacity } from "./capacity.ts";
import type { Connection } from "./connection.ts";
import type { Lanes } from "./lanes.ts";
import type { Meters } from "./meters.ts";
import type { Push } from "./push.ts";
import type { Rest } from "./rest.ts";
import type { Session, Sessions } from "./sessions.ts";
import type { Asker } from "./uplink-queue.ts";

/** The part of a socket a connection needs. */
export interface Socket {
  write(bytes: Uint8Array): number;
  /** Nothing more is written; the other side may still write. */
  shutdown(): void;
  /** Closes it. What the kernel has still leaves, and TLS may wait for that. */
  end(): void;
  /** Closes it at once. */
  terminate(): void;
}

/** Who is logged in on a connection: a client of ours, or one of CIM v2. */
export interface Party extends Asker {
  readonly session: Session;
  /** @throws FrameError for what a client does not say */
  frame(frame: Frame): void;
  /**
   * What `peekControl` saw in what the socket read; answers whether it was understood. Left out by one that says
   * it otherwise. @throws FrameError
   */
  control?(body: Control): boolean;
  /** A ping that says no more, alone in what was read. Left out by one that says it otherwise. */
  ping?(): void;
  push(push: Push, more: boolean): void;
  /** A CIM v2 client's wish for what was kept for it. */
  catchUp(): void;
  /** Messages may have passed this server by: to everyone, or of every kind, and then the session may be over. */
  lookAgain(everything: boolean): void;
  /** All that was written has left for the socket. */
  emptied(): void;
  /** When the connection is to end because what is written does not leave; Infinity while it does. */
  readonly slowAt: number;
}

/** What the connections of a server share. */
export interface Parts {
  config: Pick<Config, "auth" | "heartbeatMs" | "maxUnsentBytes">;
  bootId: string;
  tokens: Tokens;
  sessions: Sessions;
  /** Those that have not logged in yet. */
  newcomers: Set<Connection>;
  capacity: Capacity;
  uplink: Lanes;
  wheel: Wheel;
  meters: Meters;
  /** Null where the process has more to do than to be a server. */
  rest: Rest | null;
  log: Logger;
  login(connection: Connection, frame: Frame, parts: Parts): Promise<void>;
}
