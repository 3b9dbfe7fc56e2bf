/** What a login frame comes to. */
import type { SessionToken, Tokens } from "../common/token.ts";
import { isUserId } from "../proto/conversation.ts";
import { encodeFrame, FrameError, MAX_CONTENT_BYTES, MAX_FRAME_BYTES } from "../proto/frame.ts";
import { Command, type Frame } from "../proto/gen/cim_pb.ts";
import { CimError, type GoodbyeReason, STATUS } from "../proto/status.ts";
import type { Result } from "../proto/uplink.ts";
import { Client } from "./client.ts";
import type { Connection } from "./connection.ts";
import { LegacyClient } from "./legacy.ts";
import type { Parts } from "./party.ts";
import type { Asked } from "./uplink-queue.ts";

/** Code points; some are two characters of a string. */
const MAX_NAME_LENGTH = 64;

/** @throws FrameError for anything that is no login */
export async function login(connection: Connection, frame: Frame, parts: Parts): Promise<void> {
  const { cmd, body } = frame;
  if (cmd !== Command.LOGIN) throw new FrameError(`a frame of command ${cmd} before the login`);
  if (body.case !== undefined && body.case !== "login") throw new FrameError(`a login with ${body.case}`);
  connection.check(body.case === "login");
  if (connection.refusal !== null) connection.end("full", connection.refusal);
  else if (body.case === "login") await withToken(connection, body.value.token, parts);
  else adopt(connection, frame, parts);
}

/** The token says it all, but for whether the session still stands: the route is told, and refuses if not. */
async function withToken(connection: Connection, text: string, parts: Parts): Promise<void> {
  const { bootId, tokens, uplink } = parts;
  const token = await checked(tokens, text);
  if ("reason" in token) {
    connection.end(token.reason, token.text);
    return;
  }
  if (token.bootId !== bootId) connection.end("wrong_server");
  if (connection.gone) return;
  const { userId, userName, sessionId, device } = token;
  const client = new Client(connection, { userId, userName, sessionId, device }, parts);
  connection.admit(client);
  connection.reply(welcome(sessionId, parts.config.heartbeatMs));
  uplink.confirm(client.session, client);
  connection.admitted();
}

async function checked(
  tokens: Tokens,
  text: string,
): Promise<SessionToken | { reason: GoodbyeReason; text: string }> {
  try {
    // As of the beginning of time: one that has expired is told so, since another login helps then.
    const token = await tokens.check(text, "session", 0);
    if (token.expiresAt > Date.now()) return token;
    return {
      reason: "session_over",
      text: `the token expired at ${new Date(token.expiresAt).toISOString()}`,
    };
  } catch (error) {
    if (error instanceof CimError) return { reason: "bad_token", text: error.message };
    throw error;
  }
}

/** A CIM v2 login has no token: the route is asked whether this user holds a claim here that nobody took yet. */
function adopt(connection: Connection, frame: Frame, parts: Parts): void {
  const userId = Number(frame.requestId);
  const userName = frame.text;
  if (parts.config.auth !== "open") throw new FrameError("a login without a token");
  if (!isUserId(userId)) throw new FrameError(`a login of user ${frame.requestId}`);
  if (userName === "" || userName.length > 2 * MAX_NAME_LENGTH)
    throw new FrameError(`a login with a name of ${userName.length} characters, limit ${MAX_NAME_LENGTH}`);
  parts.uplink.adopt(userId, userName, {
    get gone() {
      return connection.gone;
    },
    answered(_: Asked, { code, text, sessionId, device }: Result) {
      const session = { userId, userName, sessionId, device };
      if (code !== STATUS.SUCCESS.code) connection.end("session_over", text);
      else if (connection.gone) parts.uplink.release(session);
      else {
        connection.admit(new LegacyClient(connection, session, parts));
        connection.admitted();
      }
    },
  });
}

/** A welcome for session ids of one length, and where the id stands in it. */
interface Template {
  frame: Uint8Array;
  at: number;
}

const templates = new Map<string, Template>();
const MAX_TEMPLATES = 100;
const encoder = new TextEncoder();

/** Encoded once for ids of the same length, which all are: of a crowd's logins it would be the costliest part. */
function welcome(sessionId: string, heartbeatMs: number): Uint8Array {
  const id = encoder.encode(sessionId);
  const key = `${id.length} ${heartbeatMs}`;
  let template = templates.get(key);
  if (!template) {
    template = makeTemplate(id.length, heartbeatMs);
    if (templates.size >= MAX_TEMPLATES) templates.clear();
    templates.set(key, template);
  }
  const frame = template.frame.slice();
  frame.set(id, template.at);
  return frame;
}

function makeTemplate(idBytes: number, heartbeatMs: number): Template {
  const limits = { maxFrameBytes: MAX_FRAME_BYTES, maxContentBytes: MAX_CONTENT_BYTES };
  const frameFor = (sessionId: string) =>
    encodeFrame({
      cmd: Command.CONTROL,
      body: { case: "welcome", value: { sessionId, heartbeatMs, ...limits } },
    });
  const [frame, other] = [frameFor("a".repeat(idBytes)), frameFor("b".repeat(idBytes))];
  // Where they differ; an id of no bytes stands nowhere.
  return {
    frame,
    at: Math.max(
      0,
      frame.findIndex((byte, i) => byte !== other[i]),
    ),
  };
}
