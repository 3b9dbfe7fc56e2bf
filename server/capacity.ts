/** How many connections there may be: in all, which the process' limit of open files decides, and from one address. */
import { openFileLimit } from "../common/open-files.ts";

/** Connections of one address; shared by them. */
export interface Address {
  readonly text: string;
  /** Loopback has no limit of its own. */
  readonly limited: boolean;
  connections: number;
}

export interface CapacityLimits {
  /** Beyond it newcomers are told `full`, once they have said who they are. */
  connections: number;
  /** So many are let in for that at once; more, and those beyond twice the limit of an address, not even for that. */
  turnedAway: number;
  perAddress: number;
}

/** From this part of the limit on, the server is shown as full: its announcements lag behind. */
const NEARLY_FULL = 0.97;

export class Capacity {
  /** Open connections, logged in or not. */
  open = 0;
  /** Closed to all newcomers. */
  closed = false;
  readonly #limits: CapacityLimits;
  readonly #addresses = new Map<string, Address>();
  #emptied: (() => void) | null = null;

  constructor(limits: CapacityLimits) {
    this.#limits = limits;
  }

  get full(): boolean {
    return this.closed || this.open >= this.#limits.connections * NEARLY_FULL;
  }

  /** Counts a connection in; null when there is not even the room to tell it that there is none. */
  enter(text: string): { address: Address; refusal: string | null } | null {
    const known = this.#addresses.get(text);
    const address = known ?? { text, limited: !isLoopback(text), connections: 0 };
    const { connections, turnedAway, perAddress } = this.#limits;
    if (this.open >= connections + turnedAway) return null;
    if (address.limited && address.connections >= perAddress * 2) return null;
    this.open++;
    address.connections++;
    if (!known) this.#addresses.set(text, address);
    if (this.closed) return { address, refusal: "the server is shutting down" };
    if (this.open > connections)
      return { address, refusal: `${connections} connections, which is the limit` };
    if (address.limited && address.connections > perAddress)
      return { address, refusal: `${perAddress} connections from ${text}, which is the limit` };
    return { address, refusal: null };
  }

  /** Resolves when there is no connection any more. */
  emptied(): Promise<void> {
    return new Promise((resolve) => {
      this.#emptied = resolve;
      if (this.open === 0) resolve();
    });
  }

  leave(address: Address): void {
    if (--this.open === 0) this.#emptied?.();
    if (--address.connections === 0) this.#addresses.delete(address.text);
  }
}

/** Files kept free for everything else: listeners, calls, the store, and those who are turned away. */
const KEPT_FREE = 500;
const KEPT_PART = 1 / 2;
const TURNED_AWAY_PART = 1 / 4;
const MIN_CONNECTIONS = 64;
/** Where the system does not tell. */
const USUAL_OPEN_FILES = 10_240;

/** The connections this process may hold, and those it may turn away at once. */
export function roomFor(
  openFiles: number = openFileLimit() ?? USUAL_OPEN_FILES,
): Pick<CapacityLimits, "connections" | "turnedAway"> {
  const kept = Math.min(KEPT_FREE, Math.floor(openFiles * KEPT_PART));
  return {
    connections: Math.max(MIN_CONNECTIONS, openFiles - kept),
    turnedAway: Math.floor(kept * TURNED_AWAY_PART),
  };
}

function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}
