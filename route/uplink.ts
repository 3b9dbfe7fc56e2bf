/** What servers say and ask in the name of their connections: one call, many items, answered one by one. */
import type { Logger } from "../common/logger.ts";
import type { Cursor } from "../proto/ack.ts";
import type { Sync } from "../proto/gen/cim_pb.ts";
import { decodeSend, encodeSent, type WireReceipt } from "../proto/send.ts";
import { CimError, GOODBYES, type GoodbyeReason, STATUS } from "../proto/status.ts";
import { type Call, type Item, type Result, resultOf } from "../proto/uplink.ts";
import { WireError } from "../proto/wire.ts";
import type { Accept, Receipt, Sending } from "./accept.ts";
import type { Leaving } from "./leaving.ts";
import type { Admission, Presence } from "./presence.ts";
import type { Cursors } from "./store/cursors.ts";
import type { Session } from "./store/sessions.ts";
import { mayRead, type SyncPages } from "./sync.ts";

export interface UplinkParts {
  presence: Presence;
  leaving: Pick<Leaving, "release" | "logout">;
  accept: Accept;
  cursors: Cursors;
  sync: SyncPages;
  logger: Logger;
  now?: () => number;
}

type Origin = Pick<Call, "server" | "bootId">;
type Answer = Partial<Result>;

export class Uplinks {
  readonly #parts: UplinkParts;

  constructor(parts: UplinkParts) {
    this.#parts = parts;
  }

  /**
   * Acknowledgements first, since nothing depends on them; then who is there, in the order in which it happened;
   * then what those who are there send; and last what they ask for, so that they are told the newest.
   */
  async handle({ server, bootId, items }: Call): Promise<Result[]> {
    const results: Result[] = [];
    const refused = new Map<string, GoodbyeReason>();
    await this.#acknowledge(items, results);
    await this.#settle(items, results, "presence", async (item) => {
      const result = await this.#presence({ server, bootId }, item);
      if (result.goodbye) refused.set(item.sessionId, result.goodbye as GoodbyeReason);
      return result;
    });
    await this.#send(items, results, refused);
    await this.#settle(items, results, "sync", (item) => this.#sync(item));
    return results;
  }

  /** Takes what all of them send in one step: of so many items each must cost little. */
  async #send(items: Item[], results: Result[], refused: ReadonlyMap<string, GoodbyeReason>): Promise<void> {
    const sendings: Sending[] = [];
    const places: number[] = [];
    for (const [i, { userId, userName, sessionId, body }] of items.entries()) {
      if (body.case !== "send") continue;
      try {
        const messages = decodeSend(body.value);
        const goodbye = refused.get(sessionId);
        if (goodbye) results[i] = sent(messages.map(({ messageId }) => refusal(messageId, goodbye)));
        else places[sendings.push({ sender: { userId, userName, sessionId }, messages }) - 1] = i;
      } catch (error) {
        results[i] = this.#failure(error);
      }
    }
    if (sendings.length === 0) return;
    try {
      const receipts = await this.#parts.accept.sendAll(sendings);
      for (const [k, i] of places.entries()) results[i] = sent(receipts[k]!);
    } catch (error) {
      const failure = this.#failure(error);
      for (const i of places) results[i] = failure;
    }
  }

  /** Answers all items of a kind: those of one user one after another, users side by side. */
  async #settle(
    items: Item[],
    results: Result[],
    kind: Kind,
    answer: (item: Item) => Promise<Answer>,
  ): Promise<void> {
    const last = new Map<number, Promise<void>>();
    for (const [i, item] of items.entries()) {
      if (kindOf(item) !== kind) continue;
      const before = last.get(item.userId);
      const run = async () => {
        results[i] = await this.#answer(() => answer(item));
      };
      last.set(item.userId, before ? before.then(run) : run());
    }
    await Promise.all(last.values());
  }

  async #acknowledge(items: Item[], results: Result[]): Promise<void> {
    const acks = items.flatMap((item) =>
      item.body.case === "ack" ? cursorsOf(item, item.body.value, this.#parts.presence) : [],
    );
    const result = await this.#answer(async () => {
      if (acks.length > 0) await this.#parts.cursors.ack(acks);
      return {};
    });
    for (const [i, item] of items.entries()) if (kindOf(item) === "ack") results[i] = result;
  }

  async #presence(origin: Origin, item: Item): Promise<Answer> {
    const { presence, leaving } = this.#parts;
    const session = this.#session(origin, item);
    switch (item.body.case) {
      case "confirm":
        return admission(await presence.confirm(session));
      case "adopt": {
        const taken = await presence.adopt(session.userId, item.userName, origin.server, origin.bootId);
        if (!taken)
          throw new CimError("ACCOUNT_MISMATCH", `user ${session.userId} has no claim on ${origin.server}`);
        return { sessionId: taken.sessionId, device: taken.device };
      }
      case "release":
        if (item.body.value.clean) await leaving.logout(session.userId, session.sessionId);
        else await leaving.release(session);
    }
    return {};
  }

  async #sync(item: Item): Promise<Answer> {
    const reader = { userId: item.userId, slot: this.#parts.presence.slotOf(item.device) };
    return { pages: await this.#parts.sync.pages(reader, item.body.value as Sync) };
  }

  #session(origin: Origin, item: Item): Session {
    return {
      userId: item.userId,
      userName: item.userName,
      sessionId: item.sessionId,
      slot: this.#parts.presence.slotOf(item.device),
      device: item.device,
      server: origin.server,
      bootId: origin.bootId,
      confirmed: true,
      since: (this.#parts.now ?? Date.now)(),
    };
  }

  // Each item fails alone: what one connection sent must not hold up its neighbours.
  async #answer(answer: () => Promise<Answer>): Promise<Result> {
    try {
      return resultOf({ code: STATUS.SUCCESS.code, ...(await answer()) });
    } catch (error) {
      return this.#failure(error);
    }
  }

  #failure(error: unknown): Result {
    if (error instanceof CimError) return resultOf({ code: error.code, text: error.message });
    if (error instanceof WireError) return resultOf({ code: STATUS.INVALID.code, text: error.message });
    this.#parts.logger.error(
      { error: String(error), stack: (error as Error).stack },
      "an uplink item failed",
    );
    return resultOf({ code: STATUS.FAILURE.code, text: STATUS.FAILURE.text });
  }
}

/** What is answered item by item. */
type Kind = "presence" | "sync";

function kindOf(item: Item): Kind | "ack" | "send" {
  const kind = item.body.case;
  return kind === "ack" || kind === "send" || kind === "sync" ? kind : "presence";
}

function cursorsOf(item: Item, cursors: readonly Cursor[], presence: Presence) {
  const reader = { userId: item.userId, slot: presence.slotOf(item.device) };
  return cursors
    .filter(({ conversation }) => mayRead(reader.userId, conversation))
    .map(({ conversation, seq }) => ({ ...reader, conversation, seq }));
}

function admission(admission: Admission): Answer {
  if ("session" in admission) return {};
  const { goodbye } = admission;
  return { code: STATUS.UNAUTHORIZED.code, text: GOODBYES[goodbye].text, goodbye };
}

function refusal(messageId: string, goodbye: GoodbyeReason): Receipt {
  return { messageId, status: "UNAUTHORIZED", detail: GOODBYES[goodbye].text, seq: 0, at: 0 };
}

function sent(receipts: readonly Receipt[]): Result {
  return resultOf({ code: STATUS.SUCCESS.code, sent: encodeSent(receipts.map(onWire)) });
}

function onWire({ messageId, status, detail, seq, at }: Receipt): WireReceipt {
  return { messageId, code: STATUS[status].code, text: detail, seq, at };
}
