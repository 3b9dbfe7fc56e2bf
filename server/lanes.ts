/**
 * Several uplinks side by side, so that server and route work at once instead of in turns. What one user's connections
 * say stays in one lane, and so in order.
 */
import type { Sync } from "../proto/gen/cim_pb.ts";
import type { Session } from "./sessions.ts";
import { MAX_WAITING_BYTES, Uplink, type UplinkOptions } from "./uplink.ts";
import type { Asker } from "./uplink-queue.ts";

const LANES = 4;

/** What connections say and ask, on its way to the route. Each of these does what the Uplink's of its name does. */
export class Lanes {
  readonly #lanes: readonly Uplink[];

  constructor(options: UplinkOptions) {
    const maxWaitingBytes = MAX_WAITING_BYTES / LANES;
    this.#lanes = Array.from({ length: LANES }, () => new Uplink({ maxWaitingBytes, ...options }));
  }

  /** Calls made, and those of them that failed. */
  get calls(): { made: number; failed: number } {
    const sum = { made: 0, failed: 0 };
    for (const { calls } of this.#lanes) {
      sum.made += calls.made;
      sum.failed += calls.failed;
    }
    return sum;
  }

  trouble(): string | null {
    return this.#lanes.map((lane) => lane.trouble()).find((trouble) => trouble !== null) ?? null;
  }

  confirm(session: Session, asker: Asker): void {
    this.#of(session.userId).confirm(session, asker);
  }

  release(session: Session): void {
    this.#of(session.userId).release(session);
  }

  adopt(userId: number, userName: string, asker: Asker): void {
    this.#of(userId).adopt(userId, userName, asker);
  }

  send(session: Session, send: Uint8Array, asker: Asker): void {
    this.#of(session.userId).send(session, send, asker);
  }

  sync(session: Session, sync: Sync, asker: Asker): void {
    this.#of(session.userId).sync(session, sync, asker);
  }

  ack(session: Session, conversation: string, seq: number, urgent = false): void {
    this.#of(session.userId).ack(session, conversation, seq, urgent);
  }

  tick(): void {
    for (const lane of this.#lanes) lane.tick();
  }

  async close(withinMs: number): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close(withinMs)));
  }

  #of(userId: number): Uplink {
    return this.#lanes[userId % LANES]!;
  }
}
