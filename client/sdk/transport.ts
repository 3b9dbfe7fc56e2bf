/** A way to a server: bytes in order, both ways. TCP is one; a WebSocket with the same bytes is another. */
import type { ServerInfo } from "./types.ts";

export interface Transport {
  /** Bytes the network does not take yet wait in memory. Ignored once closed. */
  write(bytes: Uint8Array): void;
  /** What was written still leaves. `closed` is not called any more. */
  close(): void;
}

export interface TransportEvents {
  /** A view, valid only during the call. */
  data(bytes: Uint8Array): void;
  /** The other side ended it, or the network did. Called at most once, and nothing after it. */
  closed(why: string): void;
}

/** Opens a way to `server`; rejects when there is none. The caller bounds how long it waits by the signal. */
export type Dial = (server: ServerInfo, events: TransportEvents, signal: AbortSignal) => Promise<Transport>;
