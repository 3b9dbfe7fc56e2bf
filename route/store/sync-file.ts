/** Has a file on the disk, not only with the kernel: one sync under way at a time, shared by all who wait for it. */
import { type FileHandle, open } from "node:fs/promises";

export class SyncFile {
  readonly #name: string | null;
  readonly #failed: (error: Error) => Error;
  #handle: FileHandle | null = null;
  /** Something was written that no sync which began since then covers. */
  #dirty = false;
  #underWay: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  /** A sync that failed: the next one may succeed although what the first was for is lost. */
  #error: Error | null = null;

  /**
   * @param name the file, which need not exist before something was written; null for one that is in no file
   * @param failed told of a sync that failed; answers what those who wait are to be told
   */
  constructor(name: string | null, failed: (error: Error) => Error) {
    this.#name = name;
    this.#failed = failed;
  }

  /** Something was written. */
  needed(): void {
    this.#dirty = this.#name !== null;
  }

  /** Resolves when all that was written until now is on the disk. */
  done(): Promise<void> {
    if (this.#error) return Promise.reject(this.#error);
    if (!this.#dirty) return this.#underWay ?? Promise.resolve();
    if (this.#underWay === null) return this.#begin();
    this.#next ??= this.#underWay.then(() => {
      this.#next = null;
      return this.#begin();
    });
    return this.#next;
  }

  async close(): Promise<void> {
    await this.#underWay?.catch(() => undefined);
    await this.#handle?.close();
    this.#handle = null;
  }

  #begin(): Promise<void> {
    this.#dirty = false;
    this.#underWay = this.#sync().finally(() => {
      this.#underWay = null;
    });
    return this.#underWay;
  }

  async #sync(): Promise<void> {
    try {
      this.#handle ??= await open(this.#name!, "r+");
      await this.#handle.datasync();
    } catch (error) {
      this.#error = this.#failed(error as Error);
      throw this.#error;
    }
  }
}
