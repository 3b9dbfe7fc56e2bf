/** What a route of CIM v2 does to a server: it pushes one message, or a batch, to one user. */
import { callV2, type V2Answer } from "./cim-v2-http.ts";

export interface V2Push {
  /** The receiver. */
  userId: number;
  msg?: string;
  batchMsg?: string[];
  sendUserId: number;
  sendUserName: string;
  /** MESSAGE, or OFFLINE for what was kept. */
  cmd?: "MESSAGE" | "OFFLINE";
}

/** `serverUrl` is the server's HTTP port. */
export function pushV2(serverUrl: string, push: V2Push): Promise<V2Answer<{ msg: string } | null>> {
  const { userId, msg, batchMsg, cmd = "MESSAGE" } = push;
  const properties = {
    sendUserId: String(push.sendUserId),
    sendUserName: push.sendUserName,
    receiveUserId: String(userId),
  };
  return callV2(serverUrl, "/sendMsg", { msg, batchMsg, userId, cmd, properties });
}
