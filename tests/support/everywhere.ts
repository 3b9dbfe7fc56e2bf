/**
 * One program for every runtime: it talks with somebody who echoes, goes on while the server is gone, and answers what
 * it saw. Under Bun and Deno it is run as it is, for a browser it is bundled.
 */
import { type ConnectOptions, connect } from "../../client/sdk/client.ts";

export interface Seen {
  /** What came back, in order. */
  echoes: string[];
  seqs: number[];
  states: string[];
  history: number;
  online: string[];
  unknown: unknown;
  refused: string;
}

export const TEXTS = Array.from({ length: 40 }, (_, i) => `${i} – text, 文字, 🚀, \u0000`);
/** Having seen this, the other side ends the server and starts it again. */
export const MIDDLE = TEXTS[TEXTS.length / 2]!;
export const DATA = new Uint8Array([0, 1, 127, 128, 255]);

export async function everywhere(options: ConnectOptions): Promise<Seen> {
  const states: string[] = [];
  const client = await connect({
    ...options,
    onStatus: (status) => {
      if (status.type === "state") states.push(status.state);
    },
  });
  const echo = (await client.findUser("echo"))!;
  const sent = TEXTS.map((text) => client.sendTo(echo.userId, text));
  sent.push(client.sendTo(echo.userId, DATA));
  const echoes: string[] = [];
  for await (const { text, data } of client.messages) {
    if (echoes.push(text ?? data!.toHex()) === sent.length) break;
  }
  const receipts = await Promise.all(sent);
  const history = await client.history(receipts[0]!.conversation, { limit: 200 });
  const online: string[] = [];
  for await (const { userName } of client.onlineUsers()) online.push(userName);
  const unknown = await client.findUser("nobody of this name");
  const refused = await client.sendAll("").catch((error: Error) => error.message);
  await client.close();
  const { state } = client;
  return {
    echoes,
    seqs: receipts.map(({ seq }) => seq),
    states: [...states, `then ${state}`],
    history: history.length,
    online,
    unknown,
    refused: String(refused),
  };
}
