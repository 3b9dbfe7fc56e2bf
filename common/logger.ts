import pino from "pino";

/** The part of a logger we use: fields first, so that no text from outside is ever part of the line's structure. */
export interface Logger {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/**
 * Logs lines of JSON to stderr. Field names that hold secrets are redacted wherever they stand at the top.
 * @param worker which of several processes of the role this is, if it is one
 */
export function createLogger(level: string, role: string, worker: number | null = null): Logger {
  const redact = ["token", "password", "secret", "authorization", "*.token", "*.password", "*.authorization"];
  return pino(
    {
      level,
      base: worker === null ? { role } : { role, worker },
      redact,
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination(2),
  );
}
