/** Messages as a CIM v2 server takes them: one call for a run of one sender's, to one receiver. */
import type { Fetch } from "../common/link.ts";
import type { Message } from "../proto/gen/cim_pb.ts";
import { CimError, STATUS } from "../proto/status.ts";
import { readBody, show } from "./request.ts";

/** The body of POST /sendMsg. CIM v2 knows these fields and no others; `msg` or `batchMsg`. */
export interface V2Push {
  userId: number;
  cmd: "MESSAGE" | "OFFLINE";
  msg?: string;
  batchMsg?: string[];
  properties: { sendUserId: string; sendUserName: string; receiveUserId: string };
}

/** Content of one call; a receiver that is one of ours takes frames of 64 KiB. */
const MAX_PUSH_BYTES = 48 * 1024;
const MAX_PUSH_MESSAGES = 100;
const CALL_TIMEOUT_MS = 5 * 1000;
const MAX_ANSWER_BYTES = 64 * 1024;

const encoder = new TextEncoder();

/**
 * The pushes for messages in their order, each with the seq it reaches up to. What the receiver said itself is left
 * out.
 * @param liveFrom messages from this seq on are live, those before it were kept
 */
export function* v2Pushes(
  receiver: number,
  messages: readonly Message[],
  liveFrom: number,
): Iterable<{ push: V2Push; seq: number }> {
  const others = messages.filter(({ senderId }) => Number(senderId) !== receiver);
  for (const run of runs(others, liveFrom)) {
    const seq = Number(run.at(-1)!.seq);
    yield { push: pushOf(receiver, run, Number(run[0]!.seq) >= liveFrom), seq };
  }
}

/**
 * Resolves once the server has answered Success.
 * @throws CimError FALLBACK when nobody answers in time, FAILURE for any other answer
 */
export async function postV2Push(fetch: Fetch, url: string, push: V2Push): Promise<void> {
  let response: Response;
  let answer: Uint8Array;
  try {
    const request = new Request(url, {
      method: "POST",
      headers: { "content-type": "application/json; charset=utf-8" },
      body: JSON.stringify(push),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    });
    response = await fetch(request);
    answer = await readBody(response, MAX_ANSWER_BYTES);
  } catch (error) {
    const why = (error as Error).message;
    throw new CimError("FALLBACK", `no answer from ${url} in ${CALL_TIMEOUT_MS} ms: ${why}`, {
      cause: error,
    });
  }
  const text = new TextDecoder().decode(answer);
  if (response.ok && codeOf(text) === STATUS.SUCCESS.code) return;
  throw new CimError("FAILURE", `${url} answered ${response.status} ${show(text)}`);
}

function codeOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { code?: unknown } | null)?.code;
  } catch {
    return undefined;
  }
}

function* runs(messages: readonly Message[], liveFrom: number): Iterable<Message[]> {
  let run: Message[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = encoder.encode(textOf(message)).length;
    const last = run.at(-1);
    const goesOn =
      last?.senderId === message.senderId &&
      Number(last.seq) >= liveFrom === Number(message.seq) >= liveFrom &&
      run.length < MAX_PUSH_MESSAGES &&
      bytes + size <= MAX_PUSH_BYTES;
    if (last && !goesOn) {
      yield run;
      run = [];
      bytes = 0;
    }
    run.push(message);
    bytes += size;
  }
  if (run.length > 0) yield run;
}

function pushOf(receiver: number, run: readonly Message[], isLive: boolean): V2Push {
  const [{ senderId, senderName }] = run as [Message];
  const texts = run.map(textOf);
  return {
    userId: receiver,
    cmd: isLive ? "MESSAGE" : "OFFLINE",
    ...(texts.length === 1 ? { msg: texts[0]! } : { batchMsg: texts }),
    properties: {
      sendUserId: String(senderId),
      sendUserName: senderName,
      receiveUserId: String(receiver),
    },
  };
}

/** CIM v2 knows text alone: data is shown as base64. */
function textOf({ content }: Message): string {
  return content.case === "data" ? content.value.toBase64() : (content.value ?? "");
}
