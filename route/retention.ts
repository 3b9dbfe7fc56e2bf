/** Forgets what is older than the retention, little by little, so that nobody waits for it. */
import type { Logger } from "../common/logger.ts";
import type { Cursors } from "./store/cursors.ts";
import type { Log } from "./store/log.ts";

const EVERY_MS = 60 * 1000;
/** Cursors are few, and looking at all of them takes a while. */
const CURSORS_EVERY_MS = 60 * 60 * 1000;
const SLICE_MESSAGES = 500;

export interface RetentionParts {
  log: Log;
  cursors: Cursors;
  retentionMs: number;
  logger: Logger;
  now?: () => number;
}

/** Trims every minute until `stop`. Several routes may do so on one store. */
export class Retention {
  readonly #parts: RetentionParts;
  readonly #timer: ReturnType<typeof setInterval>;
  #trimming = false;
  #cursorsDue = 0;
  #stopped = false;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => void this.trim(), EVERY_MS);
  }

  /** Forgets all that is too old now. One that finds another under way leaves it to that. */
  async trim(): Promise<void> {
    if (this.#trimming) return;
    this.#trimming = true;
    const { log, cursors, retentionMs, logger, now = Date.now } = this.#parts;
    const before = now() - retentionMs;
    let forgotten = 0;
    try {
      for (let slice = SLICE_MESSAGES; slice === SLICE_MESSAGES && !this.#stopped; forgotten += slice) {
        slice = await log.trim(before, SLICE_MESSAGES);
        await new Promise((resolve) => setTimeout(resolve));
      }
      if (!this.#stopped && now() >= this.#cursorsDue) {
        this.#cursorsDue = now() + CURSORS_EVERY_MS;
        await cursors.trim(before);
      }
      if (forgotten > 0)
        logger.info({ messages: forgotten }, "messages older than the retention were forgotten");
    } catch (error) {
      logger.warn({ error: String(error) }, "cannot forget old messages");
    } finally {
      this.#trimming = false;
    }
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }
}
