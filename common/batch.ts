/**
 * Gathers what arrives while a call is under way and makes it the next call: nothing waits when idle, and under
 * load the batches grow by themselves.
 */
export interface BatchOptions {
  /** The most items in one call. Default 1000. */
  maxItems?: number;
  /** The most bytes in one call, as `size` counts them. Default 512 KiB. A single larger item goes alone. */
  maxBytes?: number;
  /** Calls under way at once. Default 1, which keeps the items in order. */
  concurrency?: number;
  /** Bytes that must wait before a call begins beside another: a small one is better made larger meanwhile. Default 0. */
  besideBytes?: number;
  /** When a call begins that may begin. Default `queueMicrotask`: everything that one event brings goes in one call. */
  soon?: (begin: () => void) => void;
}

const DEFAULT_MAX_ITEMS = 1000;
const DEFAULT_MAX_BYTES = 512 * 1024;

interface Waiting<T, R> {
  item: T;
  resolve: (result: R) => void;
  reject: (error: unknown) => void;
}

export class Batcher<T, R> {
  #waiting: Waiting<T, R>[] = [];
  #bytes = 0;
  #underWay = 0;
  #scheduled = false;
  readonly #options: Required<BatchOptions>;

  /**
   * @param call answers one result for each item, in order; when it throws, every item of the call fails with that
   * @param size bytes an item counts for
   */
  constructor(
    readonly call: (items: T[]) => Promise<R[]>,
    readonly size: (item: T) => number = () => 0,
    options: BatchOptions = {},
  ) {
    this.#options = {
      maxItems: options.maxItems ?? DEFAULT_MAX_ITEMS,
      maxBytes: options.maxBytes ?? DEFAULT_MAX_BYTES,
      concurrency: options.concurrency ?? 1,
      besideBytes: options.besideBytes ?? 0,
      soon: options.soon ?? queueMicrotask,
    };
  }

  /** Items that no call has taken yet, and their bytes. */
  get waiting(): { items: number; bytes: number } {
    return { items: this.#waiting.length, bytes: this.#bytes };
  }

  add(item: T): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#bytes += this.size(item);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || !this.#mayBegin()) return;
    this.#scheduled = true;
    this.#options.soon(() => {
      this.#scheduled = false;
      if (this.#waiting.length > 0) void this.#run(this.#take());
    });
  }

  #mayBegin(): boolean {
    const { concurrency, besideBytes } = this.#options;
    return this.#underWay === 0 || (this.#underWay < concurrency && this.#bytes >= besideBytes);
  }

  #take(): Waiting<T, R>[] {
    const { maxItems, maxBytes } = this.#options;
    let count = 0;
    let bytes = 0;
    while (count < this.#waiting.length && count < maxItems) {
      const size = this.size(this.#waiting[count]!.item);
      if (count > 0 && bytes + size > maxBytes) break;
      bytes += size;
      count++;
    }
    this.#bytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  async #run(batch: Waiting<T, R>[]): Promise<void> {
    this.#underWay++;
    if (this.#waiting.length > 0) this.#schedule();
    try {
      const results = await this.call(batch.map((waiting) => waiting.item));
      if (results.length !== batch.length) {
        throw new Error(`${results.length} results for a batch of ${batch.length}`);
      }
      for (const [i, waiting] of batch.entries()) waiting.resolve(results[i]!);
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    } finally {
      this.#underWay--;
      if (this.#waiting.length > 0) this.#schedule();
    }
  }
}
