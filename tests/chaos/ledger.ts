/**
 * Holds what clients received against what was accepted. Reads journals entry by entry, in any order of the journals;
 * within one, as it was written. Knows no process and no clock.
 */
import { parseConversation } from "../../proto/conversation.ts";
import type { Entry } from "./journal.ts";
import type { Counts, Span, Violation } from "./violation.ts";

interface Sending {
  client: string;
  conversation: string;
  at: number;
  seq: number | null;
  failed: { why: string; at: number } | null;
}

/** A message that was sent in vain all this time was not held up by what was broken before. */
const STUCK_MS = 15_000;

/** A conversation, as all clients together know it. */
interface Talk {
  /** By seq: the messageId. */
  ids: Map<number, string>;
  head: number;
  /** Sent by each client, in that order. */
  sent: Map<string, string[]>;
}

/** A conversation, as one client got it. */
interface Reading {
  last: number;
  /** Before the last, and not received: its own, mostly. */
  skipped: Set<number>;
}

export class Ledger {
  readonly violations: Violation[] = [];
  readonly counts: Counts = {
    sent: 0,
    accepted: 0,
    failed: 0,
    failedButThere: 0,
    received: 0,
    reconnects: 0,
  };
  /** By client: what it said of itself last. */
  readonly states = new Map<string, string>();
  /** Everyone's clients, by userId. */
  readonly #clients = new Map<number, string[]>();
  readonly #sendings = new Map<string, Sending>();
  readonly #talks = new Map<string, Talk>();
  /** By conversation, then by client. */
  readonly #readings = new Map<string, Map<string, Reading>>();
  readonly #ended = new Set<string>();

  /** @param participants all clients there are, several of which may be of one user */
  constructor(participants: readonly { userId: number; name: string }[]) {
    for (const { userId, name } of participants) this.#clients.getOrInsert(userId, []).push(name);
  }

  add(entry: Entry): void {
    const { client, at } = entry;
    switch (entry.is) {
      case "sends":
        this.counts.sent++;
        this.#sendings.set(entry.id, {
          client,
          conversation: entry.conversation,
          at,
          seq: null,
          failed: null,
        });
        this.#talk(entry.conversation).sent.getOrInsert(client, []).push(entry.id);
        break;
      case "accepted":
        this.#accepted(entry);
        break;
      case "failed": {
        this.counts.failed++;
        const sending = this.#sendings.get(entry.id);
        if (sending) sending.failed = { why: entry.why, at };
        break;
      }
      case "receives":
        this.#received(entry);
        break;
      case "state":
        if (entry.state.startsWith("Reconnecting")) this.counts.reconnects++;
        this.states.set(client, entry.state);
        break;
      case "ended":
        this.#ended.add(client);
        this.violations.push({ kind: "gave up", text: entry.why, at, client });
    }
  }

  /** What somebody should have and does not have (yet), at most `limit`. */
  missing(limit = Number.POSITIVE_INFINITY): Violation[] {
    const missing: Violation[] = [];
    for (const [conversation, talk] of this.#talks) {
      for (const client of this.#members(conversation)) {
        if (this.#ended.has(client)) continue;
        for (const seq of this.#lacks(conversation, talk, client)) {
          missing.push(this.#lack(conversation, talk, client, seq));
          if (missing.length >= limit) return missing;
        }
      }
    }
    return missing;
  }

  /** What can only be said when nothing more will happen. @param broken when anything was */
  close(broken: readonly Span[]): void {
    this.violations.push(...this.missing());
    for (const [id, sending] of this.#sendings) this.#checkOutcome(id, sending, broken);
    for (const [conversation, talk] of this.#talks) {
      for (const [client, ids] of talk.sent) this.#checkOrder(conversation, client, ids);
      for (const [seq, id] of talk.ids) this.#checkSource(conversation, seq, id);
    }
  }

  #accepted({ conversation, id, seq, client, at }: Entry & { is: "accepted" }): void {
    const sending = this.#sendings.get(id);
    if (!sending) throw new Error(`${client} has a receipt for ${id}, which it did not send`);
    this.counts.accepted++;
    if (sending.seq !== null && sending.seq !== seq) {
      const text = `accepted as ${sending.seq}, and once more as ${seq}`;
      this.violations.push({ kind: "misplaced", text, at, client, conversation, seq, messageId: id });
    }
    sending.seq = seq;
    this.#stands(conversation, seq, id, client, at);
  }

  #received(entry: Entry & { is: "receives" }): void {
    const { conversation, seq, id, client, at, wrong } = entry;
    const where = { at, client, conversation, seq, messageId: id };
    this.counts.received++;
    if (wrong) this.violations.push({ kind: "wrong", text: wrong, ...where });
    this.#stands(conversation, seq, id, client, at);
    const reading = this.#reading(conversation, client);
    if (seq > reading.last) {
      for (let skipped = reading.last + 1; skipped < seq; skipped++) reading.skipped.add(skipped);
      reading.last = seq;
    } else if (reading.skipped.delete(seq)) {
      this.violations.push({ kind: "out of order", text: `received after ${reading.last}`, ...where });
    } else this.violations.push({ kind: "twice", text: "received before", ...where });
  }

  #stands(conversation: string, seq: number, id: string, client: string, at: number): void {
    const talk = this.#talk(conversation);
    const known = talk.ids.get(seq);
    if (known === undefined) {
      talk.ids.set(seq, id);
      talk.head = Math.max(talk.head, seq);
    } else if (known !== id) {
      const text = `${known} stands as ${seq} too`;
      this.violations.push({ kind: "misplaced", text, at, client, conversation, seq, messageId: id });
    }
  }

  *#lacks(conversation: string, talk: Talk, client: string): Generator<number, void, void> {
    const { last, skipped } = this.#reading(conversation, client);
    for (const seq of skipped) {
      const id = talk.ids.get(seq);
      if (id !== undefined && this.#sendings.get(id)?.client === client) skipped.delete(seq);
      else yield seq;
    }
    for (let seq = last + 1; seq <= talk.head; seq++) {
      const id = talk.ids.get(seq);
      if (id === undefined || this.#sendings.get(id)?.client !== client) yield seq;
    }
  }

  #lack(conversation: string, talk: Talk, client: string, seq: number): Violation {
    const messageId = talk.ids.get(seq);
    const sending = messageId === undefined ? undefined : this.#sendings.get(messageId);
    const last = this.#reading(conversation, client).last;
    const text =
      messageId === undefined
        ? `nobody has it; ${client} has ${last}, the conversation goes up to ${talk.head}`
        : `sent by ${sending?.client}, ${sending?.seq ? "accepted" : (sending?.failed?.why ?? "no outcome")}; ${client} has ${last}`;
    const kind = sending?.seq ? "lost" : "hole";
    return { kind, text, at: sending?.at ?? 0, client, conversation, seq, messageId };
  }

  #checkOutcome(id: string, { client, conversation, at, failed }: Sending, broken: readonly Span[]): void {
    if (failed === null) return;
    const wholeSince = Math.max(at, ...broken.filter(({ from }) => from < failed.at).map(({ to }) => to));
    if (failed.at - wholeSince < STUCK_MS) return;
    const text = `${failed.why}; nothing had been broken for ${failed.at - wholeSince} ms`;
    this.violations.push({ kind: "stuck", text, at: failed.at, client, conversation, messageId: id });
  }

  /** What one client sent to one conversation stands there in the order in which it was sent. */
  #checkOrder(conversation: string, client: string, ids: readonly string[]): void {
    let before: { id: string; seq: number } = { id: "", seq: 0 };
    for (const id of ids) {
      const { seq, at } = this.#sendings.get(id)!;
      if (seq === null) continue;
      if (seq < before.seq) {
        const text = `sent after ${before.id}, which is ${before.seq}`;
        this.violations.push({ kind: "reordered", text, at, client, conversation, seq, messageId: id });
      }
      before = { id, seq };
    }
  }

  #checkSource(conversation: string, seq: number, id: string): void {
    const sending = this.#sendings.get(id);
    const where = { conversation, seq, messageId: id, at: sending?.at ?? 0 };
    if (!sending) this.violations.push({ kind: "wrong", text: "nobody sent it", ...where });
    else if (sending.seq === null) this.counts.failedButThere++;
    else if (sending.seq !== seq) {
      const text = `its receipt says ${sending.seq}`;
      this.violations.push({ kind: "misplaced", text, client: sending.client, ...where });
    }
  }

  #members(conversation: string): string[] {
    const parsed = parseConversation(conversation);
    if (parsed.kind === "all") return [...this.#clients.values()].flat();
    return [parsed.low, parsed.high].flatMap((userId) => this.#clients.get(userId) ?? []);
  }

  #talk(conversation: string): Talk {
    return this.#talks.getOrInsertComputed(conversation, () => ({
      ids: new Map(),
      head: 0,
      sent: new Map(),
    }));
  }

  #reading(conversation: string, client: string): Reading {
    return this.#readings
      .getOrInsertComputed(conversation, () => new Map<string, Reading>())
      .getOrInsertComputed(client, () => ({ last: 0, skipped: new Set() }));
  }
}
