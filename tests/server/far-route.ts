/** The route's end of the wire between server and route: takes uplinks, answers them, and pushes downlinks. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Link } from "../../common/link.ts";
import type { Tokens } from "../../common/token.ts";
import { PagesSchema, SendSchema, SentSchema } from "../../proto/gen/cim_pb.ts";
import {
  type DeliverySchema,
  type DownlinkItemSchema,
  DownlinkReplySchema,
  DownlinkSchema,
  type UplinkItem,
  UplinkReplySchema,
  UplinkResultSchema,
  UplinkSchema,
} from "../../proto/gen/link_pb.ts";
import { encodeMessage, withSeq } from "../../proto/message.ts";

export type ResultInit = MessageInitShape<typeof UplinkResultSchema>;
export type Answer = (item: UplinkItem) => ResultInit | Promise<ResultInit>;

export class FarRoute {
  /** Everything servers said, in order. */
  readonly items: UplinkItem[] = [];
  calls = 0;
  /** Answers an item; whatever it leaves to the default answer is accepted. */
  answer: Answer = accept;
  readonly #link: Link;
  readonly #tokens: Tokens;
  #http: Bun.Server<undefined> | null = null;
  #port = 0;
  #wake: (() => void)[] = [];

  constructor(tokens: Tokens) {
    this.#tokens = tokens;
    this.#link = new Link("route", tokens);
    this.come();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** It is away: nobody answers at its port. */
  async go(): Promise<void> {
    await this.#http?.stop(true);
    this.#http = null;
  }

  come(): void {
    this.#http = Bun.serve({
      hostname: "127.0.0.1",
      port: this.#port,
      fetch: (request) => this.#take(request),
    });
    this.#port = this.#http.port!;
  }

  /** The first item of this kind, as soon as it is there, and those before it, are taken off. */
  async next(kind: UplinkItem["body"]["case"]): Promise<UplinkItem> {
    for (;;) {
      const at = this.items.findIndex((item) => item.body.case === kind);
      if (at >= 0) return this.items.splice(0, at + 1)[at]!;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Hands items to a server; resolves with what it took. */
  async push(httpPort: number, ...items: MessageInitShape<typeof DownlinkItemSchema>[]): Promise<number> {
    const body = toBinary(DownlinkSchema, create(DownlinkSchema, { items }));
    const answer = await this.#link.post(`http://127.0.0.1:${httpPort}/internal/downlink`, body);
    return fromBinary(DownlinkReplySchema, answer).taken;
  }

  async #take(request: Request): Promise<Response> {
    await new Link("route", this.#tokens).admit(request, "server");
    const { items } = fromBinary(UplinkSchema, await request.bytes());
    this.calls++;
    const results = await Promise.all(items.map((item) => this.answer(item)));
    this.items.push(...items);
    for (const wake of this.#wake.splice(0)) wake();
    const accepted = results.map((result) =>
      create(UplinkResultSchema, { code: "9000", ...result } as ResultInit),
    );
    return new Response(toBinary(UplinkReplySchema, create(UplinkReplySchema, { results: accepted })));
  }
}

/** Accepts everything: sends get seq 1, 2, 3 …, syncs an empty page, adopted logins a session. */
export function accept(item: UplinkItem): ResultInit {
  if (item.body.case === "adopt") return { sessionId: `adopted-${item.userId}`, device: "v2" };
  if (item.body.case === "sync") return { pages: toBinary(PagesSchema, create(PagesSchema)) };
  if (item.body.case !== "send") return {};
  const { messages } = fromBinary(SendSchema, item.body.value);
  const receipts = messages.map(({ messageId }, i) => ({
    messageId,
    code: "9000",
    seq: BigInt(i + 1),
    at: 1n,
  }));
  return { sent: toBinary(SentSchema, create(SentSchema, { receipts })) };
}

/** A message of user 1, "ann". */
export function encoded(
  conversation: string,
  seq: number,
  text: string,
  senderId = 1,
): Uint8Array<ArrayBuffer> {
  const message = {
    conversation,
    messageId: `${conversation}-${seq}`,
    senderId,
    senderName: senderId === 1 ? "ann" : `user ${senderId}`,
    at: 1,
    content: { case: "text" as const, value: text },
  };
  return withSeq(encodeMessage(message), seq) as Uint8Array<ArrayBuffer>;
}

export function delivery(
  conversation: string,
  seq: number,
  text: string,
  to: MessageInitShape<typeof DeliverySchema>,
): MessageInitShape<typeof DownlinkItemSchema> {
  const value = { message: encoded(conversation, seq, text), conversation, seq: BigInt(seq), ...to };
  return { body: { case: "delivery", value } } as MessageInitShape<typeof DownlinkItemSchema>;
}
