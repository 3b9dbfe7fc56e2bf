import { afterEach, describe, expect, setSystemTime, test } from "bun:test";
import { Link } from "../../common/link.ts";
import { Tokens } from "../../common/token.ts";

const URL_OF_PEER = "http://10.0.0.1:8081/internal/downlink";
const tokens = new Tokens("a secret of both");
const route = new Link("route", tokens, async (request) => answer(request));
let answer: (request: Request) => Promise<Response> | Response = () => new Response();

describe("a call", () => {
  test("carries its bytes and the proof of who calls, and answers the peer's bytes", async () => {
    let seen: unknown[] = [];
    answer = async (request) => {
      await new Link("server", tokens).admit(request, "route");
      const { method, url, headers } = request;
      seen = [method, url, headers.get("content-type"), new Uint8Array(await request.arrayBuffer())];
      return new Response(new Uint8Array([4, 5]));
    };
    expect(await route.post(URL_OF_PEER, new Uint8Array([1, 2, 3]))).toEqual(new Uint8Array([4, 5]));
    expect(seen).toEqual(["POST", URL_OF_PEER, "application/x-protobuf", new Uint8Array([1, 2, 3])]);
  });

  test("of a text is JSON", async () => {
    answer = async (request) =>
      new Response(`${request.headers.get("content-type")} ${await request.text()}`);
    expect(new TextDecoder().decode(await route.post(URL_OF_PEER, "{}"))).toBe("application/json {}");
  });

  test("shows the same token again while it is good", async () => {
    const shown = new Set<string | null>();
    answer = (request) => {
      shown.add(request.headers.get("authorization"));
      return new Response();
    };
    for (let i = 0; i < 3; i++) await route.post(URL_OF_PEER, "{}");
    expect(shown.size).toBe(1);
  });

  test.each<[string, () => Promise<Response> | Response, object]>([
    [
      "a refused connection",
      () => Promise.reject(new Error("connection refused")),
      { code: "8000", message: `no answer from ${URL_OF_PEER} in 5000 ms: connection refused` },
    ],
    [
      "an error",
      () => new Response("", { status: 503 }),
      { code: "8000", message: `${URL_OF_PEER} answered 503` },
    ],
    [
      "another secret",
      () => new Response("", { status: 401 }),
      { code: "9110", message: `${URL_OF_PEER} does not accept our CIM_SECRET` },
    ],
  ])("that meets %s fails and names the URL", async (_, peer, error) => {
    answer = peer;
    expect(route.post(URL_OF_PEER, "{}")).rejects.toMatchObject(error);
  });

  test("that nobody answers ends in its time", async () => {
    answer = (request) =>
      new Promise((_, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
      });
    expect(route.post(URL_OF_PEER, "{}", 20)).rejects.toMatchObject({
      code: "8000",
      message: expect.stringContaining(`no answer from ${URL_OF_PEER} in 20 ms`),
    });
  });
});

describe("a peer lets in", () => {
  const ask = (authorization?: string) =>
    new Link("server", tokens)
      .admit(new Request(URL_OF_PEER, { headers: authorization ? { authorization } : {} }), "route")
      .then(
        () => "let in",
        (error) => `${error.code} ${error.message}`,
      );
  const service = (role: "route" | "server", expiresAt = Date.now() + 1000) =>
    tokens.sign({ kind: "service", role, expiresAt });

  test("the other role with the same secret, and nobody else", async () => {
    const expired = Date.now() - 1;
    expect([
      await ask(`Bearer ${await service("route")}`),
      await ask(),
      await ask("Bearer x"),
      await ask(`Bearer ${await service("server")}`),
      await ask(`Bearer ${await service("route", expired)}`),
      await ask(
        `Bearer ${await new Tokens("another").sign({ kind: "service", role: "route", expiresAt: 9e15 })}`,
      ),
    ]).toEqual([
      "let in",
      "9110 an internal call without a service token",
      "9110 the token is malformed",
      "9110 the service token of a server, want a route's",
      `9110 the token expired at ${new Date(expired).toISOString()}`,
      "9110 the token has a wrong signature",
    ]);
  });

  describe("who showed the same token before", () => {
    afterEach(() => setSystemTime());

    test("until it expires", async () => {
      const server = new Link("server", tokens);
      const expiresAt = Date.now() + 1000;
      const headers = { authorization: `Bearer ${await service("route", expiresAt)}` };
      const admit = () => server.admit(new Request(URL_OF_PEER, { headers }), "route");
      await admit();
      await admit();
      setSystemTime(expiresAt);
      expect(admit()).rejects.toMatchObject({ code: "9110", message: expect.stringContaining("expired") });
    });

    test("only in the role that it is of", async () => {
      const server = new Link("server", tokens);
      const headers = { authorization: `Bearer ${await service("route")}` };
      await server.admit(new Request(URL_OF_PEER, { headers }), "route");
      expect(server.admit(new Request(URL_OF_PEER, { headers }), "server")).rejects.toMatchObject({
        code: "9110",
      });
    });
  });
});
