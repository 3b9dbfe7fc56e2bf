/** Whom messages reach, and by which servers: what is pushed is sorted into a parcel for each of these. */
import type { Config } from "../common/config.ts";
import { addressOf, type ServerInstance } from "../common/registry/registry.ts";
import { DeliveryWriter } from "../proto/downlink.ts";
import { keyOf, type Reached } from "./downlinks.ts";
import { type Parcel, Parcels } from "./parcels.ts";
import type { Sight } from "./sight.ts";
import type { Session } from "./store/sessions.ts";

/** A stored message on its way: whom it is for (null: everyone), and the session it came from ("": none). */
export interface Outbound {
  conversation: string;
  seq: number;
  /** An encoded cim.Message without its seq. */
  bytes: Uint8Array;
  senderId: number;
  receiverId: number | null;
  sessionId: string;
  /** It stood in the log before: it was pushed, or is marked, since then. Its bytes are not those in the log. */
  retry: boolean;
}

/** The servers as sorting needs them. */
type Servers = Pick<Reached, "state"> & { alive(): readonly ServerInstance[] };

/** Messages sorted: the parcels, the bytes they are in, and for each message whether a receiver is online. */
export interface Sorted {
  parcels: Parcels;
  written: Uint8Array;
  online: boolean[];
}

/** A session that can be reached, and the parcel to its server. */
interface Way {
  sessionId: string;
  parcel: Parcel;
}

/** What is being sorted is written here; nothing else happens meanwhile. */
const items = new DeliveryWriter();

export class Addressing {
  readonly #servers: Servers;
  readonly #sight: Sight;
  readonly #policy: Config["loginPolicy"];

  constructor(servers: Servers, sight: Sight, policy: Config["loginPolicy"]) {
    this.#servers = servers;
    this.#sight = sight;
    this.#policy = policy;
  }

  /** @param connected the sessions of all `partiesOf` these messages */
  sort(messages: readonly Outbound[], connected: ReadonlyMap<number, readonly Session[]>): Sorted {
    const parcels = new Parcels(messages.length);
    const ways = this.#waysTo(connected, parcels);
    items.clear();
    const online = messages.map((message, i) => {
      if (message.receiverId === null) return this.#toEveryone(message, i, parcels);
      return this.#toParties(message, i, message.receiverId, ways, parcels);
    });
    return { parcels, written: items.take(), online };
  }

  /** Whose sessions have to be known to sort these. */
  partiesOf(messages: readonly Pick<Outbound, "senderId" | "receiverId">[]): Set<number> {
    const userIds = new Set<number>();
    for (const { receiverId, senderId } of messages) {
      if (receiverId === null) continue;
      userIds.add(receiverId);
      if (this.#isMulti) userIds.add(senderId);
    }
    return userIds;
  }

  /** None for a message to everyone. Under `multi` the sender's other devices get it too; else there are none. */
  receivers({ receiverId, senderId }: Outbound): number[] {
    if (receiverId === null) return [];
    return this.#isMulti ? [receiverId, senderId] : [receiverId];
  }

  get #isMulti(): boolean {
    return this.#policy === "multi";
  }

  /** The sessions of each user that can be reached, and the parcels to their servers. */
  #waysTo(connected: ReadonlyMap<number, readonly Session[]>, parcels: Parcels): Map<number, Way[]> {
    const ways = new Map<number, Way[]>();
    for (const [userId, sessions] of connected) {
      const its = this.inSight(sessions).map(({ sessionId, server, bootId }) => ({
        sessionId,
        parcel: parcels.to({ address: server, bootId }),
      }));
      if (its.length > 0) ways.set(userId, its);
    }
    return ways;
  }

  /** Answers true: someone may be online. */
  #toEveryone(message: Outbound, i: number, parcels: Parcels): boolean {
    if (message.retry) return true;
    const start = items.length;
    this.#write(message, []);
    for (const server of this.#servers.alive())
      parcels.put(parcels.to({ address: addressOf(server), bootId: server.bootId }), i, start, items.length);
    // Only now: whoever is not among these lacks it.
    this.#sight.saidToEveryone();
    return true;
  }

  /** Answers whether the receiver is online. */
  #toParties(
    message: Outbound,
    i: number,
    receiverId: number,
    ways: ReadonlyMap<number, readonly Way[]>,
    parcels: Parcels,
  ): boolean {
    const elsewhere = ({ sessionId }: Way) => sessionId !== message.sessionId;
    const toReceiver = ways.get(receiverId) ?? [];
    const toSender = (this.#isMulti && ways.get(message.senderId)?.filter(elsewhere)) || [];
    if (!message.retry && toReceiver.length + toSender.length > 0) {
      const start = items.length;
      this.#write(message, this.receivers(message));
      for (const { parcel } of toReceiver) parcels.put(parcel, i, start, items.length);
      for (const { parcel } of toSender) parcels.put(parcel, i, start, items.length);
    }
    return toReceiver.length > 0;
  }

  #write({ bytes, conversation, seq, senderId, sessionId }: Outbound, userIds: number[]): void {
    items.add({
      message: bytes,
      conversation,
      seq,
      everyone: userIds.length === 0,
      userIds,
      exceptUserId: this.#isMulti ? 0 : senderId,
      exceptSessionId: this.#isMulti ? sessionId : "",
    });
  }

  /** Those whose server is not gone. One that is gone may come back with its clients, and then lacks what was for them. */
  inSight(sessions: readonly Session[]): Session[] {
    return sessions.filter(({ server, bootId }) => {
      if (this.#servers.state(server, bootId) !== "gone") return true;
      this.#sight.passedBy(keyOf({ address: server, bootId }));
      return false;
    });
  }
}
