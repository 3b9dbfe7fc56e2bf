/** A CIM v2 client on its connection: it pings, reads, and says nothing else. */

import { fromBinary } from "@bufbuild/protobuf";
import { FrameError } from "../proto/frame.ts";
import { Command, type Frame, PagesSchema, type Sync } from "../proto/gen/cim_pb.ts";
import { STATUS } from "../proto/status.ts";
import type { Result } from "../proto/uplink.ts";
import { pong, SLOW_MS } from "./client.ts";
import type { Connection } from "./connection.ts";
import { type LegacyConnection, LegacyReader } from "./legacy-reader.ts";
import type { Parts, Party } from "./party.ts";
import type { Push } from "./push.ts";
import type { Session } from "./sessions.ts";
import type { Asked } from "./uplink-queue.ts";

export class LegacyClient implements Party, LegacyConnection {
  readonly session: Session;
  /** Since when the outbox was too full and has not been empty; null when that is not so. */
  #slowSince: number | null = null;
  readonly #connection: Connection;
  readonly #parts: Parts;
  readonly #reader: LegacyReader;

  constructor(connection: Connection, session: Session, parts: Parts) {
    this.#connection = connection;
    this.session = session;
    this.#parts = parts;
    this.#reader = new LegacyReader(this, session.userId);
  }

  get gone(): boolean {
    return this.#connection.gone;
  }

  get slowAt(): number {
    return (this.#slowSince ?? Number.POSITIVE_INFINITY) + SLOW_MS;
  }

  get unsent(): number {
    return this.#connection.unsent;
  }

  frame({ cmd, requestId, body }: Frame): void {
    if (cmd === Command.PING && body.case === undefined) this.#connection.reply(pong(requestId));
    else throw new FrameError(`a frame of command ${cmd} from a CIM v2 client`);
  }

  push(push: Push): void {
    this.#parts.meters.pushes++;
    this.#reader.push(push);
  }

  catchUp(): void {
    this.#reader.catchUp();
  }

  lookAgain(everything: boolean): void {
    if (everything) this.#parts.uplink.confirm(this.session, this);
    this.#reader.catchUp();
  }

  emptied(): void {
    this.#slowSince = null;
    this.#reader.emptied();
  }

  answered(asked: Asked, { code, text, pages }: Result): void {
    if (this.gone) return;
    if (code !== STATUS.SUCCESS.code) this.#connection.end("session_over", text, 0, asked === "confirm");
    else if (asked === "sync") this.#reader.pages(fromBinary(PagesSchema, pages));
  }

  write(frame: Uint8Array): boolean {
    const sent = this.#connection.send(frame, false);
    if (sent === "slow" && this.#slowSince === null) {
      this.#slowSince = this.#parts.wheel.now;
      this.#connection.watch();
    }
    return sent === "taken";
  }

  sync(sync: Sync): void {
    if (!this.gone) this.#parts.uplink.sync(this.session, sync, this);
  }

  ack(conversation: string, seq: number): void {
    // At once: what is not known to have arrived arrives twice, and these clients cannot tell.
    this.#parts.uplink.ack(this.session, conversation, seq, true);
  }
}
