/**
 * Reads for a CIM v2 session, which asks for nothing and acknowledges nothing: knows up to where each conversation was
 * written to it, fetches what is missing, and acknowledges what has left for the socket.
 */
import { create } from "@bufbuild/protobuf";
import { type Message, type Page, type Pages, type Sync, SyncSchema } from "../proto/gen/cim_pb.ts";
import { decodeMessage } from "../proto/message.ts";
import { legacyFrame, legacyKept, legacyLive, legacyReceiver, legacyText } from "./legacy-frames.ts";
import type { Push } from "./push.ts";

/** The connection, as its reader needs it. */
export interface LegacyConnection {
  write(frame: Uint8Array): void;
  /** Bytes that have not left for the socket. */
  readonly unsent: number;
  sync(sync: Sync): void;
  ack(conversation: string, seq: number): void;
}

interface Place {
  /** Everything up to it was written; null until a page has told where the session stands. */
  last: number | null;
  /** The highest seq known to exist. */
  head: number;
  /** The first seq of what was pushed while something was missing: it is no older than this session. */
  liveFrom: number;
}

/** Text in one batch of kept messages, bytes: leaves room in a frame for what stands around it. */
const MAX_BATCH_BYTES = 48 * 1024;
const MAX_CONVERSATIONS_A_SYNC = 16;

export class LegacyReader {
  readonly #connection: LegacyConnection;
  readonly #userId: number;
  readonly #receiver: Uint8Array;
  readonly #places = new Map<string, Place>();
  /** Written, but not acknowledged. */
  readonly #written = new Map<string, number>();
  /** Conversations with something missing. */
  readonly #missing = new Set<string>();
  /** Where reading everything goes on; null when nobody asked for that. */
  #from: string | null = null;
  #asked: "everything" | "missing" | null = null;

  constructor(connection: LegacyConnection, userId: number) {
    this.#connection = connection;
    this.#userId = userId;
    this.#receiver = legacyReceiver(userId);
  }

  push(push: Push): void {
    const place = this.#place(push.conversation);
    if (push.seq === 1) place.last ??= 0;
    if (place.last !== null && push.seq <= place.last) return;
    place.head = Math.max(place.head, push.seq);
    if (place.last !== null && push.seq === place.last + 1 && !this.#missing.has(push.conversation)) {
      if (!this.#isOwn(push.message)) this.#write(push.legacy);
      this.#moveTo(push.conversation, place, push.seq);
      this.#left();
      return;
    }
    place.liveFrom = Math.min(place.liveFrom, push.seq);
    this.#missing.add(push.conversation);
    this.#ask();
  }

  /** The user asked for everything kept. */
  catchUp(): void {
    this.#from = "";
    this.#ask();
  }

  /** The answer to the Sync that was asked. */
  pages({ pages, more }: Pages): void {
    for (const page of pages) this.#page(page);
    if (this.#asked === "everything") this.#from = more ? (pages.at(-1)?.conversation ?? null) : null;
    this.#asked = null;
    this.#left();
    this.#ask();
  }

  /** Everything written has left for the socket. */
  emptied(): void {
    for (const [conversation, seq] of this.#written) this.#connection.ack(conversation, seq);
    this.#written.clear();
  }

  #place(conversation: string): Place {
    let place = this.#places.get(conversation);
    if (!place) {
      place = { last: null, head: 0, liveFrom: Number.POSITIVE_INFINITY };
      this.#places.set(conversation, place);
    }
    return place;
  }

  #ask(): void {
    if (this.#asked !== null) return;
    if (this.#from !== null) {
      this.#asked = "everything";
      this.#connection.sync(create(SyncSchema, { from: this.#from }));
    } else if (this.#missing.size > 0) {
      this.#asked = "missing";
      const after = [...this.#missing].slice(0, MAX_CONVERSATIONS_A_SYNC).map((conversation) => {
        const last = this.#place(conversation).last;
        return last === null ? { conversation } : { conversation, seq: BigInt(last) };
      });
      this.#connection.sync(create(SyncSchema, { after }));
    }
  }

  #page(page: Page): void {
    const place = this.#place(page.conversation);
    const before = place.last;
    place.head = Math.max(place.head, Number(page.head));
    place.last = Math.max(place.last ?? 0, Number(page.after));
    const through = Number(page.through);
    const news = page.messages.map(decodeMessage).filter((message) => Number(message.seq) > place.last!);
    this.#writeAll(
      news.filter((message) => !this.#isOwn(message)),
      place.liveFrom,
    );
    if (through > place.last) this.#moveTo(page.conversation, place, through);
    // A page that brings nothing although there should be more ends the asking; the next push begins it anew.
    if (place.last < place.head && place.last !== before) this.#missing.add(page.conversation);
    else this.#missing.delete(page.conversation);
    if (place.last >= place.head) place.liveFrom = Number.POSITIVE_INFINITY;
  }

  /** One frame for each message that was pushed, and one for each run of kept ones of the same sender. */
  #writeAll(messages: readonly Message[], liveFrom: number): void {
    let run: Message[] = [];
    let bytes = 0;
    const end = () => {
      if (run.length > 0) this.#write(legacyKept(run));
      run = [];
      bytes = 0;
    };
    for (const message of messages) {
      const size = Buffer.byteLength(legacyText(message));
      const goesOn = run[0]?.senderId === message.senderId && bytes + size <= MAX_BATCH_BYTES;
      const live = Number(message.seq) >= liveFrom;
      if (live || !goesOn) end();
      if (live) this.#write(legacyLive(message));
      else {
        run.push(message);
        bytes += size;
      }
    }
    end();
  }

  #write(shared: Uint8Array): void {
    this.#connection.write(legacyFrame(shared, this.#receiver));
  }

  #moveTo(conversation: string, place: Place, seq: number): void {
    place.last = seq;
    this.#written.set(conversation, seq);
  }

  #left(): void {
    if (this.#connection.unsent === 0) this.emptied();
  }

  #isOwn(message: Message): boolean {
    return Number(message.senderId) === this.#userId;
  }
}
