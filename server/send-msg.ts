/** POST /sendMsg, with which routes of CIM v2, and backends, push a message to one user. Nothing of it is stored. */
import { z } from "zod";
import { encodeFrame, MAX_FRAME_BYTES } from "../proto/frame.ts";
import { Command } from "../proto/gen/cim_pb.ts";
import { CimError, STATUS, type StatusName } from "../proto/status.ts";
import type { Sessions } from "./sessions.ts";

// CIM v2 writes null for what is absent.
const SendMsg = z.object({
  userId: z.int().positive(),
  msg: z.string().nullish(),
  batchMsg: z.array(z.string()).nullish(),
  cmd: z.enum(["MESSAGE", "OFFLINE"]).nullish(),
  properties: z.record(z.string(), z.string()).nullish(),
});

/**
 * Writes it to every connection of the user here.
 * @throws CimError INVALID for a body of another shape; RECEIVER_OFFLINE when the user is not here; FALLBACK when no
 * connection of the user takes more
 */
export function sendMsg(body: unknown, sessions: Sessions): void {
  const { success, data, error } = SendMsg.safeParse(body);
  if (!success) {
    const [issue] = error.issues;
    throw new CimError("INVALID", `${issue?.path.join(".") || "body"}: ${issue?.message}`);
  }
  const { userId, msg, batchMsg, cmd, properties } = data;
  if (msg == null && !batchMsg?.length) throw new CimError("INVALID", "msg or batchMsg: want one of them");
  const receivers = sessions.ofUser(userId);
  if (receivers.length === 0) throw new CimError("RECEIVER_OFFLINE", `user ${userId} is not on this server`);
  const frame = encodeFrame({
    cmd: Command[cmd ?? "MESSAGE"],
    requestId: BigInt(userId),
    text: msg ?? "",
    batch: batchMsg ?? [],
    properties: { ...properties, receiveUserId: String(userId) },
  });
  if (frame.length > MAX_FRAME_BYTES)
    throw new CimError("INVALID", `a frame of ${frame.length} bytes, limit ${MAX_FRAME_BYTES}`);
  const sent = receivers.map((receiver) => receiver.send(frame, false));
  if (!sent.includes("taken")) throw new CimError("FALLBACK", `user ${userId} does not take what is sent`);
}

/** An answer as CIM v2 knows it. */
export function envelope(status: StatusName, message: string, dataBody: unknown): Response {
  return Response.json({ code: STATUS[status].code, message, reqNo: null, dataBody });
}
