/** POST /sendMsg, with which routes of CIM v2, and backends, push a message to one user. Nothing of it is stored. */
import { isUserId } from "../proto/conversation.ts";
import { encodeFrame, MAX_FRAME_BYTES } from "../proto/frame.ts";
import { Command } from "../proto/gen/cim_pb.ts";
import { CimError, STATUS, type StatusName } from "../proto/status.ts";
import type { Sessions } from "./sessions.ts";

interface SendMsg {
  userId: number;
  msg: string;
  batch: string[];
  cmd: Command;
  properties: Record<string, string>;
}

/**
 * Writes it to every CIM v2 connection of the user here. A client of ours reads from the log, where this is not.
 * @throws CimError INVALID for a body of another shape, or a user with clients of ours only; RECEIVER_OFFLINE when the
 * user is not here; FALLBACK when no connection of the user takes more
 */
export function sendMsg(body: unknown, sessions: Sessions): void {
  const { userId, msg, batch, cmd, properties } = read(body);
  const connections = sessions.ofUser(userId);
  if (connections.length === 0)
    throw new CimError("RECEIVER_OFFLINE", `user ${userId} is not on this server`);
  const receivers = connections.filter((connection) => !connection.isOurs);
  if (receivers.length === 0) {
    throw new CimError(
      "INVALID",
      `user ${userId} has no CIM v2 client here: push through the route (/p2pRoute)`,
    );
  }
  const frame = encodeFrame({
    cmd,
    requestId: BigInt(userId),
    text: msg,
    batch,
    properties: { ...properties, receiveUserId: String(userId) },
  });
  if (frame.length > MAX_FRAME_BYTES)
    throw new CimError("INVALID", `a frame of ${frame.length} bytes, limit ${MAX_FRAME_BYTES}`);
  const sent = receivers.map((receiver) => receiver.send(frame, false));
  if (!sent.includes("taken")) throw new CimError("FALLBACK", `user ${userId} does not take what is sent`);
}

/** By hand: a library that checks shapes takes longer to load than all of the server. */
function read(body: unknown): SendMsg {
  if (typeof body !== "object" || body === null) throw new CimError("INVALID", "body: want an object");
  // CIM v2 writes null for what is absent.
  const given = body as Record<string, unknown>;
  const userId = given.userId;
  const msg = given.msg ?? "";
  const batch = given.batchMsg ?? [];
  const cmd = given.cmd ?? "MESSAGE";
  const properties = given.properties ?? {};
  if (!isUserId(userId)) throw new CimError("INVALID", "userId: want a positive integer below 2^53");
  if (typeof msg !== "string") throw new CimError("INVALID", "msg: want a text");
  if (!Array.isArray(batch) || !batch.every(isText)) throw new CimError("INVALID", "batchMsg: want texts");
  if (given.msg == null && batch.length === 0)
    throw new CimError("INVALID", "msg or batchMsg: want one of them");
  if (cmd !== "MESSAGE" && cmd !== "OFFLINE") throw new CimError("INVALID", "cmd: want MESSAGE or OFFLINE");
  if (typeof properties !== "object" || !Object.values(properties).every(isText))
    throw new CimError("INVALID", "properties: want an object of texts");
  return { userId, msg, batch, cmd: Command[cmd], properties: properties as Record<string, string> };
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** An answer as CIM v2 knows it. */
export function envelope(status: StatusName, message: string, dataBody: unknown): Response {
  return Response.json({ code: STATUS[status].code, message, reqNo: null, dataBody });
}
