/**
 * A process near its limit of open files. Bun, asked to accept where no file is left, tries again and again, at the
 * cost of a whole core, and who knocks hangs: so a listener is shut before, and opened again when there is room.
 */
import { closeSync, openSync, readFileSync } from "node:fs";
import type { Logger } from "./logger.ts";

/** The limit; null where the system does not tell. */
export function openFileLimit(): number | null {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const [, soft] = /^Max open files +(\d+)/m.exec(limits) ?? [];
    return Number(soft) || null;
  } catch {
    return null;
  }
}

/** Where newcomers come in. */
export interface Door {
  /** Refuses them; who is inside stays. */
  shut(): void;
  /** Lets them in again. One that throws is called again later. */
  open(): void;
}

export interface GuardOptions {
  log?: Logger;
  /** Default: the process' own. */
  limit?: number | null;
  /**
   * Has `check` called several times a second, until the function it answers is called. Default: a timer of its own;
   * one more is worth saving to a process that else hardly ever wakes up.
   */
  every?: Every;
}

export type Every = (check: () => void) => () => void;

const CHECK_EVERY_MS = 500;
/** Files kept free for everything else: calls to others, above all. */
const SPARE_FILES = 64;
const SPARE_PART = 1 / 8;

/** Looks after the door until the function it answers is called. */
export function guardDoor(
  door: Door,
  { log, limit = openFileLimit(), every = byTimer }: GuardOptions = {},
): () => void {
  if (limit === null) return () => undefined;
  const spare = Math.min(SPARE_FILES, Math.floor(limit * SPARE_PART));
  let isShut = false;
  return every(() => {
    if (!isShut && isScarce(limit - spare)) {
      isShut = true;
      log?.warn({ limit }, "almost no open files are left: newcomers are refused (ulimit -n)");
      door.shut();
    } else if (isShut && hasRoom(2 * spare)) {
      try {
        door.open();
        isShut = false;
        log?.info({ limit }, "there is room for newcomers again");
      } catch (error) {
        log?.error({ error: String(error) }, "cannot listen again, trying on");
      }
    }
  });
}

function byTimer(check: () => void): () => void {
  const timer = setInterval(check, CHECK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

// The system hands out the lowest number that is free, so a high one says that nearly all below are taken.
function isScarce(highest: number): boolean {
  const file = tryOpen();
  if (file === null) return true;
  closeSync(file);
  return file >= highest;
}

function hasRoom(count: number): boolean {
  const files: (number | null)[] = Array.from({ length: count }, tryOpen);
  for (const file of files) if (file !== null) closeSync(file);
  return !files.includes(null);
}

function tryOpen(): number | null {
  try {
    return openSync("/dev/null", "r");
  } catch {
    return null;
  }
}
