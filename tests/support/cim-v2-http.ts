/** CIM v2's HTTP calls as its Java peers make them: an answer with a field they do not know is an error. */

export interface V2Answer<T> {
  code: string;
  message: string;
  reqNo: string | null;
  dataBody: T;
}

const ENVELOPE = ["code", "message", "reqNo", "dataBody"];

/** What each call answers in dataBody: the fields of an object, of a list's elements, or null. */
const DATA_BODY = {
  "/registerAccount": ["userId", "userName"],
  "/login": ["ip", "cimServerPort", "httpPort"],
  "/offLine": [],
  "/groupRoute": [],
  "/p2pRoute": [],
  "/onlineUser": ["userId", "userName"],
  "/fetchOfflineMsgs": [],
  "/sendMsg": ["msg"],
} as const;

export type V2Path = keyof typeof DATA_BODY;

/** A request body makes it a POST; `/onlineUser` is a GET. */
export async function callV2<T = null>(baseUrl: string, path: V2Path, body?: unknown): Promise<V2Answer<T>> {
  const headers = { "content-type": "application/json; charset=utf-8" };
  const init = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(`${baseUrl}${path}`, { ...init, signal: AbortSignal.timeout(10_000) });
  const text = await response.text();
  if (response.status !== 200)
    throw new Error(`${path} answered HTTP ${response.status}: ${text.slice(0, 200)}`);
  const answer = JSON.parse(text) as V2Answer<T>;
  knowOnly(path, answer, ENVELOPE);
  if (typeof answer.code !== "string") throw new Error(`${path} answered code ${answer.code}, want a string`);
  for (const part of [answer.dataBody].flat()) {
    if (part !== null && part !== undefined) knowOnly(path, part, DATA_BODY[path]);
  }
  return answer;
}

function knowOnly(path: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== "object" || value === null)
    throw new Error(`${path} answered ${value}, want an object`);
  const unknown = Object.keys(value).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`${path} answered fields unknown to CIM v2: ${unknown.join(", ")}`);
}
