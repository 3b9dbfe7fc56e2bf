/** What is counted on the way, where counting must cost next to nothing. `metrics.ts` shows it. */
import type { GoodbyeReason } from "../proto/status.ts";

export class Meters {
  /** Connections that came, whatever became of them. */
  connects = 0;
  framesIn = 0;
  /** Those of them that were pings and nothing else, each alone in what was read. */
  heartbeats = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** Writes to a socket, each of which may carry many frames. */
  writes = 0;
  /** Messages written for a receiver, and those left out because the receiver fell behind. */
  pushes = 0;
  pushesLeftOut = 0;
  logins = 0;
  /** Calls of routes with messages. */
  downlinks = 0;
  /** Connections that the server ended, by reason; "" for those that were told none. */
  readonly ended = new Map<GoodbyeReason | "", number>();

  /** All that came and went but heartbeats: only whether it changed is of interest. */
  get stirs(): number {
    return this.connects + this.framesIn - this.heartbeats + this.downlinks + this.pushes;
  }

  countEnd(reason: GoodbyeReason | ""): void {
    this.ended.set(reason, (this.ended.get(reason) ?? 0) + 1);
  }
}
