/** The registry that needs nothing else: the route keeps a lease for each server, which the server renews over HTTP. */
import { CimError } from "../../proto/status.ts";
import type { Link } from "../link.ts";
import type { Logger } from "../logger.ts";
import { addressOf, type Directory, type Registrar, type ServerInstance } from "./registry.ts";

/** Where a server announces itself, and where it says that it leaves; both are POSTs of JSON. */
export const ANNOUNCE_PATH = "/internal/announce";
export const LEAVE_PATH = "/internal/leave";

/** How often a server renews at least, so that a route that was restarted soon knows it again. */
const MAX_RENEWAL_MS = 1000;
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 1000;
const CALL_TIMEOUT_MS = 2 * 1000;

/** A start that left or was followed by another is remembered this many leases, so that a late renewal is none. */
const LEASES_REMEMBERED = 10;

interface Lease {
  server: ServerInstance;
  until: number;
}

export class Leases implements Directory {
  readonly #leases = new Map<string, Lease>();
  readonly #over = new Map<string, number>();
  readonly #watchers = new Set<() => void>();
  readonly #knowsAllAt: number;
  #servers: readonly ServerInstance[] = [];
  #nextExpiry = Number.POSITIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(readonly leaseMs: number) {
    this.#knowsAllAt = performance.now() + leaseMs;
  }

  /**
   * Gives or renews a server's lease and answers how long it is. A start not seen before at this address is the
   * server from now on: the start before it is gone.
   * @throws CimError FAILURE for a start that left, or was followed by another
   */
  announce(server: ServerInstance): number {
    this.#expire();
    const address = addressOf(server);
    if (this.#over.has(keyOf(address, server.bootId))) {
      throw new CimError("FAILURE", `${address}: this start of the server is over`);
    }
    const held = this.#leases.get(address);
    if (held && held.server.bootId !== server.bootId) this.#end(address, held.server.bootId);
    this.#leases.set(address, { server, until: performance.now() + this.leaseMs });
    // A renewal brings new numbers only; watchers hear of who is there, and who takes newcomers.
    this.#changed(held?.server.bootId !== server.bootId || held.server.full !== server.full);
    return this.leaseMs;
  }

  /** Ends the lease of this start of the server, at once. */
  leave(address: string, bootId: string): void {
    this.#end(address, bootId);
    if (this.#leases.get(address)?.server.bootId !== bootId) return;
    this.#leases.delete(address);
    this.#changed(true);
  }

  servers(): readonly ServerInstance[] {
    this.#expire();
    return this.#servers;
  }

  state(address: string, bootId: string): "alive" | "gone" | "unknown" {
    this.#expire();
    const lease = this.#leases.get(address);
    if (lease) return lease.server.bootId === bootId ? "alive" : "gone";
    if (this.#over.has(keyOf(address, bootId))) return "gone";
    return performance.now() < this.#knowsAllAt ? "unknown" : "gone";
  }

  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => void this.#watchers.delete(changed);
  }

  trouble(): null {
    return null;
  }

  async close(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#watchers.clear();
  }

  #end(address: string, bootId: string): void {
    const now = performance.now();
    for (const [key, until] of this.#over) if (until <= now) this.#over.delete(key);
    this.#over.set(keyOf(address, bootId), now + LEASES_REMEMBERED * this.leaseMs);
  }

  // Asked on every message's way: looks at the leases only when one of them may have lapsed.
  #expire(): void {
    const now = performance.now();
    if (now < this.#nextExpiry) return;
    const lapsed = [...this.#leases].filter(([, lease]) => lease.until <= now);
    for (const [address] of lapsed) this.#leases.delete(address);
    this.#changed(lapsed.length > 0);
  }

  #changed(tell: boolean): void {
    const byAddress = [...this.#leases].sort(([a], [b]) => (a < b ? -1 : 1));
    this.#servers = byAddress.map(([, lease]) => lease.server);
    this.#nextExpiry = Math.min(...byAddress.map(([, lease]) => lease.until));
    this.#arm();
    if (tell) for (const changed of this.#watchers) changed();
  }

  // Reading is exact at any time; the timer is for those who watch.
  #arm(): void {
    if (this.#timer) clearTimeout(this.#timer);
    const wait = this.#nextExpiry - performance.now();
    this.#timer = Number.isFinite(wait) ? setTimeout(() => this.#expire(), Math.max(0, wait) + 1) : null;
  }
}

/** The server's side: announces, and renews before a third of the lease is over. */
export function leaseRegistrar(link: Link, routeUrl: string, log: Logger): Registrar {
  const stopped = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let self: (() => ServerInstance) | null = null;
  let returned: (() => void) | undefined;
  /** Until when the last lease was certain to hold: it began no sooner than it was asked for. */
  let heldUntil = Number.POSITIVE_INFINITY;
  let trouble: string | null = `${routeUrl} was not reached yet (CIM_ROUTE_URL)`;

  async function announceOnce(): Promise<number> {
    const askedAt = performance.now();
    const answer = await link.post(`${routeUrl}${ANNOUNCE_PATH}`, JSON.stringify(self!()), CALL_TIMEOUT_MS);
    const { leaseMs } = JSON.parse(new TextDecoder().decode(answer)) as { leaseMs: number };
    trouble = null;
    if (performance.now() > heldUntil) returned?.();
    heldUntil = askedAt + leaseMs;
    return Math.min(leaseMs / 3, MAX_RENEWAL_MS);
  }

  async function keepAnnounced(announced: () => void): Promise<void> {
    let failures = 0;
    while (!stopped.signal.aborted) {
      try {
        const renewalMs = await announceOnce();
        if (failures > 0) log.info({ routeUrl, failures }, "announced to the route");
        failures = 0;
        announced();
        await wait(renewalMs, stopped.signal);
      } catch (error) {
        if (failures === 0) log.warn({ routeUrl, error: String(error) }, "cannot announce to the route");
        trouble = `the route cannot be told of this server: ${(error as Error).message} (CIM_ROUTE_URL)`;
        await wait(Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures++), stopped.signal);
      }
    }
    announced(); // Nobody is to wait for what will not come.
  }

  return {
    announce: (given, whenReturned) =>
      new Promise((resolve) => {
        self = given;
        returned = whenReturned;
        running = keepAnnounced(resolve);
      }),
    trouble: () => trouble,
    async leave() {
      stopped.abort();
      await running;
      if (self === null) return;
      const server = self();
      const body = JSON.stringify({ address: addressOf(server), bootId: server.bootId });
      await link.post(`${routeUrl}${LEAVE_PATH}`, body, CALL_TIMEOUT_MS).catch((error: unknown) => {
        log.warn({ routeUrl, error: String(error) }, "cannot tell the route that this server leaves");
      });
    },
  };
}

function keyOf(address: string, bootId: string): string {
  return `${address} ${bootId}`;
}

/** Resolves after `ms`, or at once when `signal` aborts. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
