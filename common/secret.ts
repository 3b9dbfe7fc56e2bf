/** The secret that servers and routes share: given, or made once and kept in the data directory. */
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "./config.ts";

const SECRET_BYTES = 32;

/** Where a process may have its secret from, if none is given. */
export type SecretSource =
  /** The data directory; made there if need be. For who keeps the accounts there as well. */
  | "made"
  /** The data directory, where another process made it. */
  | "found"
  /** Nowhere: others, on other machines, need the same. */
  | "given";

/** @throws ConfigError when there is none, or the directory cannot be used */
export function findSecret(given: string, dataDirectory: string, source: SecretSource): string {
  if (given) return given;
  if (source === "given") {
    throw new ConfigError(
      "CIM_SECRET is not set: routes that share a CIM_STORE, and their servers, need the same",
    );
  }
  const file = join(dataDirectory, "secret");
  const kept = readSecret(file);
  if (kept) return kept;
  if (source === "found") {
    throw new ConfigError(
      `CIM_SECRET is not set and there is no ${file}: set the CIM_SECRET that the route has`,
    );
  }
  return makeSecret(dataDirectory, file);
}

function readSecret(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim() || null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new ConfigError(`CIM_DATA: cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function makeSecret(dataDirectory: string, file: string): string {
  const secret = crypto.getRandomValues(new Uint8Array(SECRET_BYTES)).toHex();
  const draft = `${file}.${process.pid}`;
  try {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
    writeFileSync(draft, `${secret}\n`, { mode: 0o600 });
    // Two processes that start at once agree on the one that was first, and none ever reads half a secret.
    linkSync(draft, file);
    return secret;
  } catch (error) {
    const made = (error as NodeJS.ErrnoException).code === "EEXIST" ? readSecret(file) : null;
    if (made) return made;
    const why = `cannot make ${file}: ${(error as Error).message}`;
    throw new ConfigError(`CIM_DATA=${dataDirectory}: ${why}`, { cause: error });
  } finally {
    rmSync(draft, { force: true });
  }
}
