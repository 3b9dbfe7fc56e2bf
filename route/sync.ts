/** What a device has not read yet, in pages that fit a frame. */
import { create, toBinary } from "@bufbuild/protobuf";
import { parseConversation, peerOf } from "../proto/conversation.ts";
import { MAX_FRAME_BYTES } from "../proto/frame.ts";
import { type PageSchema, PagesSchema, type Sync } from "../proto/gen/cim_pb.ts";
import { CimError } from "../proto/status.ts";
import type { Cursors } from "./store/cursors.ts";
import type { Log, LogPage, PageLimit } from "./store/log.ts";

export interface Reader {
  userId: number;
  slot: string;
}

/** Conversations one Sync may name. */
const MAX_CONVERSATIONS = 100;
const MAX_PAGE_MESSAGES = 200;
// The largest message there may be always fits beside what stands around it.
const PAGE_BYTES = MAX_FRAME_BYTES - 1024;
// What a page and each message in it take beyond the messages themselves, generously.
const PAGE_OVERHEAD_BYTES = 96;
const MESSAGE_OVERHEAD_BYTES = 4;

type PageInit = NonNullable<Parameters<typeof create<typeof PageSchema>>[1]>;

export class SyncPages {
  constructor(
    readonly log: Log,
    readonly cursors: Cursors,
  ) {}

  /**
   * Answers a Sync with encoded Pages: those conversations it names, or all with something unread.
   * @throws CimError INVALID for a conversation or a seq that is none, FORBIDDEN for one of others
   */
  async pages(reader: Reader, sync: Sync): Promise<Uint8Array> {
    const named = sync.after.length > 0;
    const wanted = named ? await this.#named(reader, sync) : await this.#unread(reader, sync.from);
    const pages: PageInit[] = [];
    let left = PAGE_BYTES;
    for (const { conversation, after } of wanted) {
      left -= PAGE_OVERHEAD_BYTES;
      if (left <= 0) break;
      const page = await this.log.read(conversation, after, { messages: MAX_PAGE_MESSAGES, bytes: left });
      const fitting = fit(page, left, pages.length === 0);
      if (fitting === null) break;
      left -= fitting.bytes;
      pages.push({ conversation, ...fitting.page });
    }
    const more = pages.length < wanted.length || (!named && wanted.length === MAX_CONVERSATIONS);
    return toBinary(PagesSchema, create(PagesSchema, { pages, more }));
  }

  async #unread({ userId, slot }: Reader, from: string): Promise<{ conversation: string; after: number }[]> {
    const unread = await this.cursors.unread(userId, slot, from, MAX_CONVERSATIONS);
    return unread.map(({ conversation, cursor }) => ({ conversation, after: cursor }));
  }

  async #named(reader: Reader, sync: Sync): Promise<{ conversation: string; after: number }[]> {
    if (sync.after.length > MAX_CONVERSATIONS) {
      throw new CimError(
        "INVALID",
        `a sync of ${sync.after.length} conversations, limit ${MAX_CONVERSATIONS}`,
      );
    }
    return Promise.all(
      sync.after.map(async ({ conversation, seq }) => {
        checkReader(reader.userId, conversation);
        if (seq !== undefined && seq > Number.MAX_SAFE_INTEGER)
          throw new CimError("INVALID", `a sync of ${conversation} after ${seq}, which is no seq`);
        const { userId, slot } = reader;
        const after = seq === undefined ? await this.cursors.cursor(userId, slot, conversation) : Number(seq);
        return { conversation, after };
      }),
    );
  }
}

export function mayRead(userId: number, name: string): boolean {
  try {
    checkReader(userId, name);
    return true;
  } catch {
    return false;
  }
}

/** @throws CimError INVALID for a conversation that is none, FORBIDDEN for one the user is not part of */
export function checkReader(userId: number, name: string): void {
  const conversation = parseConversation(name);
  if (conversation.kind === "p2p" && peerOf(conversation, userId) === null) {
    throw new CimError("FORBIDDEN", `user ${userId} is not part of ${name}`);
  }
}

/** As much of the page as `limit` bytes hold; null when that is nothing of it and it need not be the first. */
function fit(
  page: LogPage,
  limit: PageLimit["bytes"],
  first: boolean,
): { page: PageInit; bytes: number } | null {
  let bytes = 0;
  let count = 0;
  for (const message of page.messages) {
    const size = message.bytes.length + MESSAGE_OVERHEAD_BYTES;
    if (bytes + size > limit && !(first && count === 0)) break;
    bytes += size;
    count++;
  }
  if (count === 0 && page.messages.length > 0) return null;
  const messages = page.messages.slice(0, count);
  const through = count < page.messages.length ? messages[count - 1]!.seq : page.through;
  const init = {
    after: BigInt(page.after),
    through: BigInt(through),
    head: BigInt(page.head),
    messages: messages.map((message) => message.bytes),
  };
  return { page: init, bytes };
}
