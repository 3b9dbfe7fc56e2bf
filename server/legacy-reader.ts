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
  /** False: it takes no more for now, and nothing of the frame was taken. */
  write(frame: Uint8Array): boolean;
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
    const isNext =
      place.last !== null && push.seq === place.last + 1 && !this.#missing.has(push.conversation);
    if (isNext && (this.#isOwn(push.message) || this.#write(push.legacy))) {
      this.#moveTo(push.conversation, place, push.seq);
      if (this.#connection.unsent === 0) this.#acknowledge();
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
    if (this.#connection.unsent === 0) this.emptied();
  }

  /** Everything written has left for the socket. */
  emptied(): void {
    this.#acknowledge();
    this.#ask();
  }

  #acknowledge(): void {
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

  /** Asks for the next of what is wanted, when all that came before is written and has left. */
  #ask(): void {
    if (this.#asked !== null || this.#connection.unsent > 0) return;
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
    const after = Math.max(before ?? 0, Number(page.after));
    const through = Number(page.through);
    place.head = Math.max(place.head, Number(page.head));
    place.last = after;
    const written = this.#writeAll(page.messages.map(decodeMessage), after, through, place.liveFrom);
    if (written > after) this.#moveTo(page.conversation, place, written);
    // A page that brings nothing although there should be more ends the asking; the next push begins it anew.
    const isMore = written < through || (written < place.head && written !== before);
    if (isMore) this.#missing.add(page.conversation);
    else this.#missing.delete(page.conversation);
    if (written >= place.head) place.liveFrom = Number.POSITIVE_INFINITY;
  }

  /** Writes what follows `after`; answers up to where everything is written, `through` if the connection took it all. */
  #writeAll(messages: readonly Message[], after: number, through: number, liveFrom: number): number {
    const others = messages.filter((message) => Number(message.seq) > after && !this.#isOwn(message));
    let written = after;
    for (const run of runs(others, liveFrom)) {
      const isLive = Number(run[0]!.seq) >= liveFrom;
      if (!this.#write(isLive ? legacyLive(run[0]!) : legacyKept(run))) return written;
      written = Number(run.at(-1)!.seq);
    }
    return Math.max(written, through);
  }

  #write(shared: Uint8Array): boolean {
    return this.#connection.write(legacyFrame(shared, this.#receiver));
  }

  #moveTo(conversation: string, place: Place, seq: number): void {
    place.last = seq;
    this.#written.set(conversation, seq);
  }

  #isOwn(message: Message): boolean {
    return Number(message.senderId) === this.#userId;
  }
}

/** What goes in one frame: a message that was pushed alone, kept ones with those of the same sender that follow. */
function* runs(messages: readonly Message[], liveFrom: number): Iterable<Message[]> {
  let run: Message[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = Buffer.byteLength(legacyText(message));
    const [first] = run;
    const isKept = Number(message.seq) < liveFrom;
    const goesOn = isKept && first?.senderId === message.senderId && bytes + size <= MAX_BATCH_BYTES;
    if (first && !goesOn) {
      yield run;
      run = [];
      bytes = 0;
    }
    run.push(message);
    bytes += size;
  }
  if (run.length > 0) yield run;
}
