/** One message on its way to the connections of this server: encoded once for each kind of receiver, when the first needs it. */

import type { Delivery } from "../proto/downlink.ts";
import type { Message } from "../proto/gen/cim_pb.ts";
import { decodeMessage, messageFrame } from "../proto/message.ts";
import { legacyLive } from "./legacy-frames.ts";
import type { Session } from "./sessions.ts";

export class Push {
  readonly conversation: string;
  readonly seq: number;
  readonly everyone: boolean;
  readonly userIds: readonly number[];
  readonly #delivery: Delivery;
  #frame: Uint8Array | null = null;
  #message: Message | null = null;
  #legacy: Uint8Array | null = null;

  constructor(delivery: Delivery) {
    this.#delivery = delivery;
    this.conversation = delivery.conversation;
    this.seq = delivery.seq;
    this.everyone = delivery.everyone;
    this.userIds = delivery.userIds;
  }

  isFor(session: Session): boolean {
    const { exceptUserId, exceptSessionId } = this.#delivery;
    return (
      session.userId !== exceptUserId && (exceptSessionId === "" || session.sessionId !== exceptSessionId)
    );
  }

  /** With its length: the same bytes for every client of ours. */
  get frame(): Uint8Array {
    this.#frame ??= messageFrame(this.#delivery.message);
    return this.#frame;
  }

  get message(): Message {
    this.#message ??= decodeMessage(this.#delivery.message);
    return this.#message;
  }

  /** What a live frame says to each CIM v2 client alike. */
  get legacy(): Uint8Array {
    this.#legacy ??= legacyLive(this.message);
    return this.#legacy;
  }
}
