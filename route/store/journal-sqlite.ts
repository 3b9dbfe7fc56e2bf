/** A batch of messages as one row of the journal: each message's conversation and then its entry. */
import { writeVarint } from "../../proto/frame.ts";
import { seqFieldSize, writeWithSeq } from "../../proto/message.ts";
import { maxEntryHead, writeEntryHead } from "./entry-sqlite.ts";
import type { Draft } from "./log.ts";

const MAX_CONVERSATION_BYTES = 8;
const MAX_SEQ_BYTES = seqFieldSize(Number.MAX_SAFE_INTEGER);

export class JournalRow {
  /** Where the entry added last begins, where its message does, and where both end. */
  from = 0;
  content = 0;
  end = 0;
  readonly #bytes: Uint8Array;

  /** @param drafts of which each may be added once */
  constructor(drafts: readonly Draft[]) {
    let room = 0;
    for (const { messageId, bytes } of drafts)
      room += MAX_CONVERSATION_BYTES + maxEntryHead(messageId) + bytes.length + MAX_SEQ_BYTES;
    this.#bytes = new Uint8Array(room);
  }

  add(conversation: number, seq: number, draft: Draft): void {
    const length = draft.bytes.length + seqFieldSize(seq);
    this.from = writeVarint(this.#bytes, this.end, conversation);
    this.content = writeEntryHead(this.#bytes, this.from, draft, seq, length);
    this.end = writeWithSeq(this.#bytes, this.content, draft.bytes, seq);
  }

  /** All that was added, without the room that is left. */
  take(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.end));
  }
}
