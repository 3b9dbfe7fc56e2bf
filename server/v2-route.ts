/**
 * Where the route is one of CIM v2, nobody answers what servers ask and say: this does, as a server of CIM v2 would
 * act. A login is believed, and the route is told who went. Nothing is kept there, so there is nothing to read.
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

type Post = (body: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;

interface V2RouteOptions {
  routeUrl: string;
  /** The call to a route of ours. */
  post: Post;
  fetch: Fetch;
  log: Logger;
}

/** What Spring answers for a path that CIM v2 does not have; no proxy in between makes such an answer. */
const SPRING_404 = ["error", "path", "status", "timestamp"];
const CALL_TIMEOUT_MS = 5 * 1000;

/** The call to the route, whichever it is: one of CIM v2 may be replaced by one of ours at any time. */
export function orV2Route({ routeUrl, post, fetch, log }: V2RouteOptions): Post {
  let believing = false;
  return async (body) => {
    try {
      const answer = await post(body);
      believing = false;
      return answer;
    } catch (error) {
      if (!(await isV2Route(`${routeUrl}/internal/uplink`, fetch))) throw error;
    }
    if (!believing) log.warn({ routeUrl }, "the route is one of CIM v2: logins are believed without asking");
    believing = true;
    const { items } = fromBinary(UplinkSchema, body);
    await Promise.all(items.map((item) => tell(item, routeUrl, fetch)));
    const results = items.map((item) => create(UplinkResultSchema, answerTo(item)));
    return toBinary(UplinkReplySchema, create(UplinkReplySchema, { results }));
  };
}

async function isV2Route(url: string, fetch: Fetch): Promise<boolean> {
  try {
    const response = await fetch(
      new Request(url, { method: "POST", signal: AbortSignal.timeout(CALL_TIMEOUT_MS) }),
    );
    if (response.status !== 404) return false;
    const answer: unknown = await response.json();
    return typeof answer === "object" && answer !== null && SPRING_404.every((key) => key in answer);
  } catch {
    return false;
  }
}

/** A connection that ended is what CIM v2's servers call logging off. */
async function tell({ body, userId }: UplinkItem, routeUrl: string, fetch: Fetch): Promise<void> {
  if (body.case !== "release") return;
  const response = await fetch(
    new Request(`${routeUrl}/offLine`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ userId: Number(userId), msg: "offLine" }),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    }),
  );
  if (!response.ok) throw new Error(`${routeUrl}/offLine answered ${response.status}`);
}

function answerTo({ body }: UplinkItem): Parameters<typeof create<typeof UplinkResultSchema>>[1] {
  const { code } = STATUS.SUCCESS;
  switch (body.case) {
    case "adopt":
      return { code, sessionId: crypto.randomUUID() };
    case "sync":
      return { code, pages: toBinary(PagesSchema, create(PagesSchema)) };
    case "confirm":
    case "send":
      // A token was not made by this route: its session is over.
      return { code: STATUS.UNAUTHORIZED.code, text: "the route is one of CIM v2", goodbye: "session_over" };
    default:
      return { code };
  }
}
