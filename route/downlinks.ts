/** Down to the servers: what is for one of them goes in one call at a time, and the next gathers what arrives. */
import { create, toBinary } from "@bufbuild/protobuf";
import { Batcher } from "../common/batch.ts";
import type { Logger } from "../common/logger.ts";
import { isV2, type ServerInstance } from "../common/registry/registry.ts";
import { type DownlinkItem, DownlinkItemSchema, DownlinkSchema } from "../proto/gen/link_pb.ts";
import type { V2Servers } from "./v2-servers.ts";

/** The servers as they are handed things. */
export interface Reached {
  find(address: string, bootId: string): ServerInstance | null;
  state(address: string, bootId: string): "alive" | "gone" | "unknown";
  /** @throws CimError when the server does not answer */
  post(server: ServerInstance, body: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
}

/** One start of a server. */
export interface Target {
  address: string;
  bootId: string;
}

/** What became of an item: the server took it; the server is gone; or neither, and it is to be tried again later. */
export type Fate = "taken" | "gone" | "left";

export interface DownlinksParts {
  servers: Reached;
  /** Servers of CIM v2, which take no downlinks. */
  v2Servers: Pick<V2Servers, "take">;
  /** Told when something for a server found it gone. */
  passedBy: (target: Target) => void;
  logger: Logger;
}

/** What may wait for one server; beyond it what is for it is left. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const MAX_CALL_BYTES = 1024 * 1024;
const INSIST_MS = 1000;

export class Downlinks {
  readonly #parts: DownlinksParts;
  readonly #queues = new Map<string, Batcher<readonly Uint8Array[], Fate>>();
  readonly #retries = new Set<ReturnType<typeof setTimeout>>();

  constructor(parts: DownlinksParts) {
    this.#parts = parts;
  }

  send(target: Target, item: DownlinkItem): Promise<Fate> {
    if (isV2(target.bootId)) return this.#parts.v2Servers.take(target, item);
    return this.post(target, [toBinary(DownlinkSchema, create(DownlinkSchema, { items: [item] }))]);
  }

  /** @param items encoded, for a server of ours */
  post(target: Target, items: readonly Uint8Array[]): Promise<Fate> {
    const queue = this.#queue(target);
    if (queue.waiting.bytes > MAX_WAITING_BYTES) return Promise.resolve("left");
    return queue.add(items);
  }

  /** Sends again and again, until the server took it or is gone. */
  insist(target: Target, item: DownlinkItem): void {
    void this.send(target, item).then((fate) => {
      if (fate !== "left") return;
      const retry = setTimeout(() => {
        this.#retries.delete(retry);
        this.insist(target, item);
      }, INSIST_MS);
      this.#retries.add(retry);
    });
  }

  forgetGone(): void {
    for (const key of this.#queues.keys()) {
      const { address, bootId } = targetOf(key);
      if (this.#parts.servers.state(address, bootId) === "gone") this.#queues.delete(key);
    }
  }

  stop(): void {
    for (const retry of this.#retries) clearTimeout(retry);
  }

  #queue(target: Target): Batcher<readonly Uint8Array[], Fate> {
    const key = keyOf(target);
    const known = this.#queues.get(key);
    if (known) return known;
    const queue = new Batcher((given: (readonly Uint8Array[])[]) => this.#call(target, given), sizeOf, {
      maxBytes: MAX_CALL_BYTES,
    });
    this.#queues.set(key, queue);
    return queue;
  }

  async #call(target: Target, given: (readonly Uint8Array[])[]): Promise<Fate[]> {
    const fate = await this.#handOver(target, given.flat());
    if (fate === "gone") this.#parts.passedBy(target);
    return given.map(() => fate);
  }

  async #handOver(target: Target, items: readonly Uint8Array[]): Promise<Fate> {
    const { servers, logger } = this.#parts;
    const server = servers.find(target.address, target.bootId);
    if (!server) return servers.state(target.address, target.bootId) === "gone" ? "gone" : "left";
    try {
      // A Downlink is its items one after another.
      await servers.post(server, concat(items));
      return "taken";
    } catch (error) {
      logger.warn(
        { server: target.address, items: items.length, error: String(error) },
        "a server did not take a push",
      );
      return servers.state(target.address, target.bootId) === "gone" ? "gone" : "left";
    }
  }
}

/** A target as the key of a map. */
export function keyOf({ address, bootId }: Target): string {
  return `${address} ${bootId}`;
}

function targetOf(key: string): Target {
  const [address, bootId] = key.split(" ") as [string, string];
  return { address, bootId };
}

export function downlink(
  body: NonNullable<Parameters<typeof create<typeof DownlinkItemSchema>>[1]>["body"],
): DownlinkItem {
  return create(DownlinkItemSchema, { body } as Parameters<typeof create<typeof DownlinkItemSchema>>[1]);
}

function sizeOf(items: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const item of items) bytes += item.length;
  return bytes;
}

function concat(items: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(sizeOf(items));
  let at = 0;
  for (const item of items) {
    out.set(item, at);
    at += item.length;
  }
  return out;
}
