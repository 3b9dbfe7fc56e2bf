/** The route's calls over HTTP, each bounded in time, each failure a CimError. */
import { CimError, STATUS } from "../../proto/status.ts";
import type { Answers, CallName } from "../../route/api.ts";
import { whyNot } from "./reason.ts";

export interface ApiOptions {
  routeUrl: string;
  fetch(request: Request): Promise<Response>;
}

export interface Call {
  /** JSON body of a POST. */
  body?: object;
  /** Query of a GET. */
  query?: Record<string, string | number | undefined>;
  token?: string;
  signal?: AbortSignal;
}

interface Envelope {
  code: string;
  message: string;
  dataBody: unknown;
}

// A password takes the route a while to check when many log in at once.
const CALL_TIMEOUT_MS = 15 * 1000;

export class Api {
  readonly #options: ApiOptions;
  readonly #base: string;

  constructor(options: ApiOptions) {
    this.#options = options;
    this.#base = options.routeUrl.replace(/\/+$/, "");
  }

  /**
   * Calls `name` and answers its dataBody.
   * @throws CimError what the route refused it for; FALLBACK when no answer comes, naming the URL
   */
  async call<N extends CallName>(name: N, call: Call): Promise<Answers<N>> {
    return (await this.#fetch<N>(name, call)).dataBody;
  }

  /** Like `call`, for all pages there are: each answer says where the next one is (RFC 8288). */
  async *pages<N extends CallName>(name: N, call: Call): AsyncGenerator<Answers<N>, void, void> {
    for (let query = call.query; query; ) {
      const { dataBody, next } = await this.#fetch<N>(name, { ...call, query });
      yield dataBody;
      query = next;
    }
  }

  async #fetch<N extends CallName>(
    name: N,
    { body, query, token, signal }: Call,
  ): Promise<{ dataBody: Answers<N>; next?: Call["query"] }> {
    const where = `${this.#base}/${name}`;
    const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
    if (body) headers["content-type"] = "application/json";
    const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const request = new Request(`${where}${queryOf(query)}`, {
      method: body ? "POST" : "GET",
      headers,
      body: body && JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    let response: Response;
    let text: string;
    try {
      response = await this.#options.fetch(request);
      text = await response.text();
    } catch (error) {
      const why = timeout.aborted ? `in ${CALL_TIMEOUT_MS} ms` : whyNot(error);
      throw new CimError("FALLBACK", `no answer from ${where}: ${why}`, { cause: error });
    }
    const envelope = parse(text);
    if (!envelope)
      throw new CimError("FALLBACK", `${where} answered ${response.status}, not as a route does`);
    if (envelope.code !== STATUS.SUCCESS.code) throw CimError.fromCode(envelope.code, envelope.message);
    return { dataBody: envelope.dataBody as Answers<N>, next: nextPage(response.headers.get("link"), where) };
  }
}

/** The query of the link to the next page; undefined after the last one. */
function nextPage(link: string | null, base: string): Call["query"] {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(link ?? "")?.[1];
  const url = target === undefined ? null : URL.parse(target, base);
  return url ? Object.fromEntries(url.searchParams) : undefined;
}

function parse(text: string): Envelope | null {
  try {
    const value = JSON.parse(text) as Partial<Envelope> | null;
    return typeof value?.code === "string"
      ? { dataBody: null, message: "", ...value, code: value.code }
      : null;
  } catch {
    return null;
  }
}

function queryOf(query: Call["query"]): string {
  const entries = Object.entries(query ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]],
  );
  return entries.length > 0 ? `?${new URLSearchParams(entries)}` : "";
}
