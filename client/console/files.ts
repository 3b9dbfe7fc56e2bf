/** Where the console keeps its files (https://specifications.freedesktop.org/basedir-spec/latest/), and how: private. */
import { chmodSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

export interface Account {
  route: string;
  user: string;
  device: string;
}

type Env = Record<string, string | undefined>;

/** Sessions: what would let others in. */
export function configFile(env: Env, account: Account): string {
  return join(env.XDG_CONFIG_HOME || join(homedir(), ".config"), "cim", `${keyOf(account)}.json`);
}

/** What the account said and heard, and is to say. */
export function dataFile(env: Env, account: Account, name: string): string {
  return join(env.XDG_DATA_HOME || join(homedir(), ".local", "share"), "cim", keyOf(account), name);
}

/** Makes the directory of `file`, for its owner alone. */
export function makeDirectory(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
}

/** Replaces the file as a whole: whoever reads it sees the old or the new. */
export function writePrivate(file: string, text: string): void {
  makeDirectory(file);
  const fresh = `${file}.${process.pid}.new`;
  writeFileSync(fresh, text, { mode: 0o600 });
  chmodSync(fresh, 0o600);
  renameSync(fresh, file);
}

// Readable, and unlike for any two accounts: a name may hold what a path may not, and be longer.
function keyOf({ route, user, device }: Account): string {
  const readable = user.replaceAll(/[^\p{L}\p{N}_-]/gu, "_").slice(0, 16);
  const hash = new Bun.CryptoHasher("sha256").update(JSON.stringify([route, user, device])).digest("hex");
  return `${readable}-${hash.slice(0, 16)}`;
}
