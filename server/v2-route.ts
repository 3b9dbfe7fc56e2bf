/**
 * The route, of either kind. One of CIM v2 answers nothing that servers ask and say: this does, as a server of CIM v2
 * would act. A login is believed, and the route is told who went; nothing is kept there, so there is nothing to read.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Fetch } from "../common/link.ts";
import type { Logger } from "../common/logger.ts";
import { PagesSchema } from "../proto/gen/cim_pb.ts";
import {
  type UplinkItem,
  UplinkReplySchema,
  UplinkResultSchema,
  UplinkSchema,
} from "../proto/gen/link_pb.ts";
import { STATUS } from "../proto/status.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface V2RouteOptions {
  routeUrl: string;
  /** The start of this server. */
  bootId: string;
  /** The call to a route of ours. @throws an error whose cause is the HTTP status, if there is an answer */
  post: (body: Bytes) => Promise<Uint8Array>;
  fetch: Fetch;
  /** Whether the user has a connection here. */
  isHere: (userId: number) => boolean;
  /** A route of ours has taken the place of one of CIM v2, and knows of nobody here. */
  replaced: () => void;
  log: Logger;
}

const NOT_FOUND = 404;
const CALL_TIMEOUT_MS = 5 * 1000;
/** A route of CIM v2 lists all users who are online. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;
const CALLS_AT_ONCE = 32;

export class V2Route {
  readonly #options: V2RouteOptions;
  #kind: "unknown" | "ours" | "v2" = "unknown";

  constructor(options: V2RouteOptions) {
    this.#options = options;
  }

  /** Whether whoever logs in is believed, since the route is one of CIM v2. */
  get believes(): boolean {
    return this.#kind === "v2";
  }

  /** Finds out which kind it is, if it answers, so that the start-up can say it. */
  async look(): Promise<void> {
    await this.call(toBinary(UplinkSchema, create(UplinkSchema))).catch(() => undefined);
  }

  /** The answer to an encoded link.Uplink, whichever the route is: one of CIM v2 may be replaced by one of ours at any time. */
  async call(uplink: Bytes): Promise<Uint8Array> {
    try {
      const answer = await this.#options.post(uplink);
      this.#isOurs();
      return answer;
    } catch (error) {
      if ((error as Error).cause !== NOT_FOUND || !(await this.#isV2())) throw error;
    }
    const { items } = fromBinary(UplinkSchema, uplink);
    await this.#tell(goneUsers(items).filter((userId) => !this.#options.isHere(userId)));
    const results = items.map((item) => create(UplinkResultSchema, this.#answerTo(item)));
    return toBinary(UplinkReplySchema, create(UplinkReplySchema, { results }));
  }

  #isOurs(): void {
    const { replaced, log, routeUrl } = this.#options;
    const before = this.#kind;
    this.#kind = "ours";
    if (before !== "v2") return;
    log.warn({ routeUrl }, "the route is one of ours by now: logins are no longer believed");
    replaced();
  }

  /** Once a route of ours has answered, a missing path is a fault of what lies in between. */
  async #isV2(): Promise<boolean> {
    const { routeUrl, fetch, log } = this.#options;
    if (this.#kind === "unknown" && (await answersAsV2(routeUrl, fetch))) {
      this.#kind = "v2";
      log.warn(
        { routeUrl },
        "the route is one of CIM v2: WHOEVER LOGS IN IS BELIEVED, without asking anyone",
      );
    }
    return this.#kind === "v2";
  }

  /** A connection that ended is what CIM v2's servers call logging off. */
  async #tell(userIds: number[]): Promise<void> {
    const { routeUrl, fetch } = this.#options;
    for (let at = 0; at < userIds.length; at += CALLS_AT_ONCE) {
      const some = userIds.slice(at, at + CALLS_AT_ONCE);
      await Promise.all(some.map((userId) => offLine(routeUrl, userId, fetch)));
    }
  }

  #answerTo({ body, userId }: UplinkItem): Parameters<typeof create<typeof UplinkResultSchema>>[1] {
    const { code } = STATUS.SUCCESS;
    switch (body.case) {
      case "adopt":
        // One for each user: who logs in again takes the place of the older connection.
        return { code, sessionId: `${this.#options.bootId}-${userId}` };
      case "sync":
        return { code, pages: toBinary(PagesSchema, create(PagesSchema)) };
      case "confirm":
      case "send":
        // A token was not made by this route: its session is over.
        return {
          code: STATUS.UNAUTHORIZED.code,
          text: "the route is one of CIM v2",
          goodbye: "session_over",
        };
      default:
        return { code };
    }
  }
}

/**
 * Both kinds list who is online, and only one of ours checks what it is asked: any other answer than CIM v2's Success to
 * a limit of 0, that of a proxy among them, is not from a route of CIM v2.
 */
async function answersAsV2(routeUrl: string, fetch: Fetch): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const response = await fetch(new Request(`${routeUrl}/onlineUser?limit=0`, { signal }));
    const answer = JSON.parse(await readText(response)) as Record<string, unknown> | null;
    return response.ok && answer?.code === STATUS.SUCCESS.code && "reqNo" in answer && "dataBody" in answer;
  } catch {
    return false;
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_LIST_BYTES) throw new Error(`an answer of more than ${MAX_LIST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Users whose connection ended, but for those who logged in again since. */
function goneUsers(items: readonly UplinkItem[]): number[] {
  const gone = new Set<number>();
  for (const { body, userId } of items) {
    if (body.case === "release") gone.add(Number(userId));
    else if (body.case === "adopt") gone.delete(Number(userId));
  }
  return [...gone];
}

async function offLine(routeUrl: string, userId: number, fetch: Fetch): Promise<void> {
  const response = await fetch(
    new Request(`${routeUrl}/offLine`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ userId, msg: "offLine" }),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    }),
  );
  await response.body?.cancel();
  if (!response.ok) throw new Error(`${routeUrl}/offLine answered ${response.status}`);
}
