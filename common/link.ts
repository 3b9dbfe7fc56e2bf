/** The internal calls between servers and routes: HTTP, a protobuf or JSON body, a service token as proof. */
import { CimError } from "../proto/status.ts";
import { bearer, SERVICE_TOKEN_LIFE_MS, type ServiceToken, type Tokens } from "./token.ts";

/** `fetch`, or a function of the same shape that reaches a peer in this process. */
export type Fetch = (request: Request) => Promise<Response>;

export const CALL_TIMEOUT_MS = 5 * 1000;

const MAX_ADMITTED = 1000;

/** Makes and admits internal calls in the name of one role. */
export class Link {
  #token: { text: string; renewAt: number } | null = null;
  // A peer shows the same token at each call for half a minute: checking its signature costs more than the call.
  readonly #admitted = new Map<string, ServiceToken>();

  constructor(
    readonly role: ServiceToken["role"],
    readonly tokens: Tokens,
    readonly fetch: Fetch = (request) => globalThis.fetch(request),
  ) {}

  /**
   * Posts `body` to `url` and answers the body that came back.
   * @throws CimError FALLBACK when nobody answers in time or the answer is not 200 (then its status is the cause),
   * naming the URL; UNAUTHORIZED when the peer does not know our secret
   */
  async post(
    url: string,
    body: Uint8Array<ArrayBuffer> | string,
    timeoutMs = CALL_TIMEOUT_MS,
  ): Promise<Uint8Array> {
    const headers = {
      authorization: `Bearer ${await this.#serviceToken()}`,
      "content-type": typeof body === "string" ? "application/json" : "application/x-protobuf",
    };
    let response: Response;
    let answer: Uint8Array;
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      response = await this.fetch(new Request(url, { method: "POST", headers, body, signal }));
      answer = new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      throw new CimError(
        "FALLBACK",
        `no answer from ${url} in ${timeoutMs} ms: ${(error as Error).message}`,
        { cause: error },
      );
    }
    if (response.status === 401) throw new CimError("UNAUTHORIZED", `${url} does not accept our CIM_SECRET`);
    if (!response.ok) {
      throw new CimError("FALLBACK", `${url} answered ${response.status}`, { cause: response.status });
    }
    return answer;
  }

  /** @throws CimError UNAUTHORIZED unless the request comes from a process of role `from` that knows our secret */
  async admit(request: Request, from: ServiceToken["role"]): Promise<void> {
    const token = bearer(request.headers.get("authorization"));
    if (token === null) throw new CimError("UNAUTHORIZED", "an internal call without a service token");
    const service = this.#remembered(token) ?? (await this.#prove(token));
    if (service.role !== from)
      throw new CimError("UNAUTHORIZED", `the service token of a ${service.role}, want a ${from}'s`);
  }

  #remembered(token: string): ServiceToken | null {
    const service = this.#admitted.get(token);
    return service && service.expiresAt > Date.now() ? service : null;
  }

  async #prove(token: string): Promise<ServiceToken> {
    const service = await this.tokens.check(token, "service");
    // There are as many as peers: all are forgotten long before they are a burden.
    if (this.#admitted.size >= MAX_ADMITTED) this.#admitted.clear();
    this.#admitted.set(token, service);
    return service;
  }

  async #serviceToken(): Promise<string> {
    const now = Date.now();
    if (this.#token === null || now >= this.#token.renewAt) {
      const text = await this.tokens.sign({
        kind: "service",
        role: this.role,
        expiresAt: now + SERVICE_TOKEN_LIFE_MS,
      });
      this.#token = { text, renewAt: now + SERVICE_TOKEN_LIFE_MS / 2 };
    }
    return this.#token.text;
  }
}
