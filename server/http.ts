/** A server's HTTP: what routes hand over, CIM v2's /sendMsg, and how it is doing. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { Config } from "../common/config.ts";
import type { Link } from "../common/link.ts";
import type { Logger } from "../common/logger.ts";
import { bearer, equalSecrets } from "../common/token.ts";
import { type Downlinked, decodeDownlink } from "../proto/downlink.ts";
import { type DownlinkItem, DownlinkReplySchema } from "../proto/gen/link_pb.ts";
import { CimError, GOODBYES, type GoodbyeReason, STATUS } from "../proto/status.ts";
import type { Fanout } from "./fanout.ts";
import type { Meters } from "./meters.ts";
import { Push } from "./push.ts";
import { envelope, sendMsg } from "./send-msg.ts";
import type { Sessions } from "./sessions.ts";

export interface HttpParts {
  config: Pick<Config, "auth" | "adminKey" | "maxBodyBytes">;
  link: Link;
  sessions: Sessions;
  fanout: Fanout;
  meters: Meters;
  /** Has all clients ask for what they lack. */
  lookAgain(everything: boolean): void;
  log: Logger;
  /** What is missing to serve, in words; null when nothing is. */
  missing(): string | null;
  metrics(): Promise<Response>;
}

export function httpHandler(parts: HttpParts): (request: Request) => Promise<Response> {
  const calls: Record<string, (request: Request) => Promise<Response>> = {
    "GET /health": () => Promise.resolve(health(parts.missing())),
    "GET /metrics": () => parts.metrics(),
    "POST /sendMsg": (request) => pushed(request, parts),
    "POST /internal/downlink": (request) => downlink(request, parts),
  };
  return async (request) => {
    const { pathname } = new URL(request.url);
    const call = calls[`${request.method} ${pathname}`];
    if (!call) return new Response("not found\n", { status: 404 });
    try {
      return await call(request);
    } catch (error) {
      if (error instanceof CimError) return refused(error, pathname);
      parts.log.error(
        { path: pathname, error: String(error), stack: (error as Error).stack },
        "a call failed",
      );
      return pathname === "/sendMsg"
        ? envelope("FAILURE", STATUS.FAILURE.text, null)
        : new Response("failed\n", { status: 500 });
    }
  };
}

function refused(error: CimError, path: string): Response {
  if (path === "/sendMsg") return envelope(error.status, error.message, null);
  return new Response(`${error.message}\n`, { status: error.status === "UNAUTHORIZED" ? 401 : 400 });
}

function health(missing: string | null): Response {
  return missing === null
    ? Response.json({ status: "ok", troubles: [] })
    : Response.json({ status: "trouble", troubles: [missing] }, { status: 503 });
}

async function pushed(request: Request, parts: HttpParts): Promise<Response> {
  const { config, sessions } = parts;
  if (config.auth !== "open") await admitPush(request, parts);
  const body = await readText(request, config.maxBodyBytes);
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (error) {
    throw new CimError("INVALID", `body: no JSON: ${(error as Error).message}`);
  }
  sendMsg(json, sessions);
  return envelope("SUCCESS", STATUS.SUCCESS.text, { msg: "OK" });
}

/** A route, or a backend with the API key. */
async function admitPush(request: Request, { config, link }: HttpParts): Promise<void> {
  const given = bearer(request.headers.get("authorization"));
  if (given !== null && config.adminKey !== "" && (await equalSecrets(given, config.adminKey))) return;
  await link.admit(request, "route");
}

/** Answers when everything is in the outboxes. */
async function downlink(request: Request, parts: HttpParts): Promise<Response> {
  await parts.link.admit(request, "route");
  parts.meters.downlinks++;
  const items = decode(await request.bytes());
  const pushes: Push[] = [];
  for (const item of items) {
    if ("delivery" in item) pushes.push(new Push(item.delivery));
    else obey(item.other, parts);
  }
  await parts.fanout.deliver(pushes);
  return new Response(toBinary(DownlinkReplySchema, create(DownlinkReplySchema, { taken: items.length })));
}

function obey(body: DownlinkItem["body"], { sessions, lookAgain }: HttpParts): void {
  if (body.case === "close") {
    const { sessionId, goodbye } = body.value;
    const reason = goodbye as GoodbyeReason;
    sessions.bySession(sessionId)?.end(reason, GOODBYES[reason]?.text ?? goodbye, 0, true);
  } else if (body.case === "catchUp") {
    for (const { party } of sessions.ofUser(Number(body.value.userId))) party?.catchUp();
  } else if (body.case === "lookAgain") {
    const { everything, sessionId } = body.value;
    if (sessionId === "") lookAgain(everything);
    else sessions.bySession(sessionId)?.party?.lookAgain(everything);
  }
}

function decode(bytes: Uint8Array): Downlinked[] {
  try {
    return decodeDownlink(bytes);
  } catch (error) {
    throw new CimError(
      "INVALID",
      `a downlink of ${bytes.length} bytes that cannot be decoded: ${(error as Error).message}`,
    );
  }
}

/** @throws CimError INVALID as soon as more than `limit` bytes came */
async function readText(request: Request, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > limit) throw new CimError("INVALID", `a body of more than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
