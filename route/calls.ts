/** What each call of the API does. */
import type { z } from "zod";
import { ALL, p2p } from "../proto/conversation.ts";
import { decodeMessage } from "../proto/message.ts";
import type { Outgoing } from "../proto/send.ts";
import { CimError, STATUS, type StatusName } from "../proto/status.ts";
import type { Accept, Receipt } from "./accept.ts";
import type { Answers, Api, CallName } from "./api.ts";
import { MAX_HISTORY, MAX_USERS } from "./api.ts";
import type { Callers } from "./caller.ts";
import type { Deliver } from "./deliver.ts";
import type { Leaving } from "./leaving.ts";
import type { Login, Origin } from "./login.ts";
import type { Online } from "./online.ts";
import type { PasswordChange } from "./password-change.ts";
import { fromBase64 } from "./schemas.ts";
import type { Store } from "./store/store.ts";
import { checkReader } from "./sync.ts";

/** What a call answers: its dataBody, unless the status or a header is other than usual. */
export interface Answer<T> {
  dataBody: T;
  /** Default SUCCESS. */
  status?: StatusName;
  /** The text beside the code; default the status's own. */
  detail?: string;
  headers?: Record<string, string>;
}

export type Calls = {
  [N in CallName]: (given: z.output<Api[N]["takes"]>, origin: Origin) => Promise<Answer<Answers<N>>>;
};

export interface CallsParts {
  store: Pick<Store, "accounts" | "log" | "throttle">;
  callers: Callers;
  login: Login;
  passwordChange: PasswordChange;
  online: Pick<Online, "page">;
  leaving: Pick<Leaving, "logout" | "calledOver">;
  accept: Accept;
  deliver: Pick<Deliver, "catchUp">;
}

type Sending = z.output<Api["p2pRoute"]["takes"]> | z.output<Api["groupRoute"]["takes"]>;

const LOOKUPS = 60;
const LOOKUP_WINDOW_MS = 60 * 1000;
const HISTORY_BYTES = 1024 * 1024;
/** Users looked at for one answer of /onlineUser: a prefix that few have must not read them all. */
const MAX_USERS_SEEN = 10_000;

export function calls(parts: CallsParts): Calls {
  const { store, callers, login, passwordChange, online, leaving, accept, deliver } = parts;

  return {
    registerAccount: async (given, origin) => ({ dataBody: await login.register(given, origin) }),

    login: async (given, origin) => ({ dataBody: await login.login(given, origin) }),

    async changePassword(given, origin) {
      await passwordChange.change(given, origin);
      return { dataBody: null };
    },

    async offLine({ userId }, { caller }) {
      await callers.mayActFor(caller, userId);
      if (caller.kind === "nobody") await leaving.calledOver(userId);
      else await leaving.logout(userId, caller.kind === "user" ? caller.session.sessionId : null);
      return { dataBody: null };
    },

    p2pRoute(given, origin) {
      const { userId, receiveUserId } = given;
      if (userId === receiveUserId)
        throw new CimError("INVALID", `receiveUserId=${userId}: it is the sender`);
      return send(given, origin, p2p(userId, receiveUserId));
    },

    groupRoute: (given, origin) => send(given, origin, ALL),

    async onlineUser({ limit, after, prefix = "" }, { caller }) {
      callers.require(caller);
      const wanted = prefix.normalize("NFC");
      const size = wanted ? MAX_USERS : limit;
      const users: Answers<"onlineUser"> = [];
      let next: number | null = after;
      for (let seen = 0; next !== null && users.length < limit && seen < MAX_USERS_SEEN; seen += size) {
        const page = await online.page(next, size);
        users.push(...page.users.filter(({ userName }) => userName.startsWith(wanted)));
        next = page.next;
      }
      if (users.length > limit) next = users[limit - 1]!.userId;
      return {
        dataBody: users.slice(0, limit),
        headers: next === null ? undefined : nextPage({ limit, after: next, prefix: wanted }),
      };
    },

    async fetchOfflineMsgs({ receiveUserId }, { caller }) {
      await callers.mayActFor(caller, receiveUserId);
      await deliver.catchUp(receiveUserId);
      return { dataBody: null };
    },

    async history({ peer, userId, before, limit }, { caller }) {
      if (caller.kind === "nobody") throw new CimError("UNAUTHORIZED");
      const reader = userId ?? (caller.kind === "user" ? caller.session.userId : undefined);
      if (reader === undefined) throw new CimError("INVALID", "userId is missing: want who reads");
      await callers.mayActFor(caller, reader);
      const conversation = typeof peer === "number" ? p2p(reader, peer) : peer;
      checkReader(reader, conversation);
      const page = { messages: limit ?? MAX_HISTORY, bytes: HISTORY_BYTES };
      const stored = await store.log.history(conversation, before ?? Number.POSITIVE_INFINITY, page);
      const first = stored[0]?.seq ?? 1;
      return {
        dataBody: { messages: stored.map(({ bytes }) => readable(bytes)), before: first > 1 ? first : null },
      };
    },

    async account({ name }, { caller, address }) {
      callers.require(caller);
      const who = caller.kind === "user" ? `user:${caller.session.userId}` : address && `address:${address}`;
      if (who && caller.kind !== "admin") await limitLookups(who);
      const found = await store.accounts.byName(name);
      if (!found) throw new CimError("ACCOUNT_MISMATCH", "there is no account of this name");
      return { dataBody: { userId: found.userId, userName: found.userName } };
    },
  };

  async function send(
    given: Sending,
    { caller }: Origin,
    conversation: string,
  ): Promise<Answer<Answers<"p2pRoute">>> {
    const messages = outgoing(given, conversation);
    const sender = await callers.sender(caller, given.userId);
    const receipts = await accept.send({ sender, messages, limited: caller.kind !== "admin" });
    const isNew = caller.kind !== "nobody" || !!given.messageId || !!given.data;
    return answer(receipts, conversation, isNew, !!given.batchMsg);
  }

  async function limitLookups(who: string): Promise<void> {
    const waitMs = await store.throttle.take(`lookup:${who}`, LOOKUPS, LOOKUP_WINDOW_MS);
    if (waitMs === 0) return;
    const seconds = Math.ceil(waitMs / 1000);
    throw new CimError(
      "RATE_LIMITED",
      `${LOOKUPS} names looked up in a minute: try again in ${seconds} seconds`,
    );
  }
}

/** @throws CimError INVALID unless there is exactly one of `msg`, `batchMsg` and `data` */
function outgoing({ msg, batchMsg, data, messageId }: Sending, conversation: string): Outgoing[] {
  const given = Number(isGiven(msg)) + Number(isGiven(batchMsg)) + Number(isGiven(data));
  if (given !== 1) throw new CimError("INVALID", `${given} of msg, batchMsg and data: want one of them`);
  const id = messageId ?? crypto.randomUUID();
  if (batchMsg) {
    // Each text of a batch needs a name of its own, the same one at a retry.
    return batchMsg.map((value, i) => ({
      conversation,
      messageId: `${id}.${i}`,
      content: { case: "text", value },
    }));
  }
  const content: Outgoing["content"] = data
    ? { case: "data", value: fromBase64(data) }
    : { case: "text", value: msg! };
  return [{ conversation, messageId: id, content }];
}

function isGiven(content: unknown): boolean {
  return content !== null && content !== undefined;
}

/** One answer for all: the first refusal, else whether the receiver is offline. */
function answer(
  receipts: Receipt[],
  conversation: string,
  isNew: boolean,
  isBatch: boolean,
): Answer<Answers<"p2pRoute">> {
  const refused = receipts.findIndex(({ seq }) => seq === 0);
  const { status, detail } = receipts[Math.max(0, refused)]!;
  const where = isBatch && refused >= 0 ? `message ${refused + 1} of ${receipts.length}: ` : "";
  const places = receipts.map(({ messageId, seq, status }) => ({
    messageId,
    seq,
    conversation,
    ...(refused >= 0 && { code: STATUS[status].code }),
  }));
  const told = refused < 0 || isBatch;
  return {
    status,
    detail: detail && `${where}${detail}`,
    dataBody: isNew && told ? (isBatch ? places : places[0]!) : null,
  };
}

function readable(bytes: Uint8Array): Answers<"history">["messages"][number] {
  const { seq, messageId, senderId, senderName, at, content } = decodeMessage(bytes);
  return {
    seq: Number(seq),
    messageId,
    sendUserId: Number(senderId),
    sendUserName: senderName,
    at: Number(at),
    ...(content.case === "data" ? { data: content.value.toBase64() } : { msg: content.value ?? "" }),
  };
}

function nextPage(query: { limit: number; after: number; prefix: string }): Record<string, string> {
  const parameters = new URLSearchParams({ limit: String(query.limit), after: String(query.after) });
  if (query.prefix) parameters.set("prefix", query.prefix);
  return { link: `</onlineUser?${parameters}>; rel="next"` };
}
