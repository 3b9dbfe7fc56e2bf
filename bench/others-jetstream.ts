/** Makes a stream of NATS JetStream, by its text protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol). */
import { BenchError } from "./scenario.ts";

const ANSWER_MS = 5000;

/** @throws BenchError with what the server says */
export async function createStream(
  port: number,
  stream: { name: string; subjects: string[]; storage: string },
): Promise<void> {
  const answer = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_, bytes) {
        text += bytes.toString();
        const [, said] = /\r\nMSG \S+ 1 \d+\r\n(.*)\r\n/.exec(text) ?? [];
        if (said !== undefined) answer.resolve(said);
      },
    },
  });
  const body = JSON.stringify({ ...stream, retention: "limits", max_age: 0 });
  socket.write('CONNECT {"verbose":false}\r\nSUB _INBOX.stream 1\r\n');
  socket.write(`PUB $JS.API.STREAM.CREATE.${stream.name} _INBOX.stream ${body.length}\r\n${body}\r\n`);
  const late = setTimeout(() => answer.reject(new BenchError(`no stream in ${ANSWER_MS} ms`)), ANSWER_MS);
  const said = await answer.promise.finally(() => clearTimeout(late));
  socket.end();
  if (said.includes('"error"')) throw new BenchError(`no stream: ${said}`);
}
