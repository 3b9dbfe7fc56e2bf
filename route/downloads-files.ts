/** The compiled clients in a directory, with checksums made once for each version of a file. */
import { statSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ConfigError } from "../common/config.ts";
import type { Download, Downloads } from "./downloads.ts";
import { PLATFORMS, type Platform, programFile } from "./platforms.ts";

interface Summed {
  version: string;
  sha256: Promise<string>;
}

const SLICE_BYTES = 256 * 1024;

const NAMES = new Map(
  (Object.keys(PLATFORMS) as Platform[]).map((platform) => [programFile("cim-client", platform), platform]),
);

/**
 * @param configured "" for where `bun run build --all` puts them: dist/ of the sources, or beside the compiled program
 * @throws ConfigError when it is no directory
 */
export function openDownloads(configured: string): Downloads {
  if (configured && !statSync(configured, { throwIfNoEntry: false })?.isDirectory())
    throw new ConfigError(`CIM_DOWNLOADS=${configured}: not a directory`);
  return new Directory(configured || usual());
}

function usual(): string {
  return Bun.isStandaloneExecutable ? dirname(process.execPath) : join(import.meta.dir, "../dist");
}

class Directory implements Downloads {
  readonly #directory: string;
  readonly #sums = new Map<string, Summed>();
  #reading: Promise<unknown> = Promise.resolve();

  constructor(directory: string) {
    this.#directory = directory;
  }

  async list(): Promise<Download[]> {
    const found = await Promise.all([...NAMES.keys()].map((name) => this.find(name)));
    return found.filter((download) => download !== null);
  }

  async find(name: string): Promise<Download | null> {
    const platform = NAMES.get(name);
    if (!platform) return null;
    const file = join(this.#directory, name);
    try {
      const found = await stat(file);
      if (!found.isFile()) return null;
      const { size, mtime } = found;
      const version = `${found.ino} ${size} ${found.mtimeMs} ${found.ctimeMs}`;
      const sha256 = await this.#sum(file, version);
      return { platform, name, size, sha256, modified: mtime, body: Bun.file(file) };
    } catch (error) {
      // Not there, gone meanwhile, or not for us to read.
      if (["ENOENT", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
      throw error;
    }
  }

  #sum(file: string, version: string): Promise<string> {
    const known = this.#sums.get(file);
    if (known?.version === version) return known.sha256;
    // One after the other: there is one disk, and a hundred megabytes each.
    const sha256 = this.#reading.then(() => sum(file));
    this.#reading = sha256.catch(() => this.#sums.delete(file));
    this.#sums.set(file, { version, sha256 });
    return sha256;
  }
}

// A stream of the file would be read in one go, with heartbeats waiting meanwhile.
async function sum(file: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = new Uint8Array(SLICE_BYTES);
  await using handle = await open(file);
  while (true) {
    const { bytesRead } = await handle.read(buffer);
    if (bytesRead === 0) return hasher.digest("hex");
    hasher.update(buffer.subarray(0, bytesRead));
  }
}
