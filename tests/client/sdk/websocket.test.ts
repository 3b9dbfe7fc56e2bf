import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { webSocketUrl, websocket } from "../../../client/sdk/websocket.ts";
import { until } from "../../support/until.ts";
import { Here, read } from "./here.ts";

let here: Here;

beforeAll(async () => {
  here = await Here.open();
  await here.server();
});
afterAll(() => here[Symbol.asyncDispose]());

/** A WebSocket server that does nothing but what a test says. */
function serve(handlers: Partial<Bun.WebSocketHandler<undefined>> = {}) {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 400 })),
    websocket: { message() {}, ...handlers },
  });
  const at = { host: "127.0.0.1", port: 1, httpPort: server.port!, tls: false };
  return { server, info: { ...at, webSocketUrl: `ws://127.0.0.1:${server.port}/` } };
}

const events = () => {
  const seen: string[] = [];
  return {
    seen,
    data: (bytes: Uint8Array) => void seen.push(new TextDecoder().decode(bytes)),
    closed: (why: string) => void seen.push(`closed: ${why}`),
  };
};

test("two clients over WebSockets and one over TCP read the same", async () => {
  await using alice = await here.client("alice", { transport: websocket });
  await using bob = await here.client("bob", { transport: websocket });
  await using carl = await here.client("carl");
  const texts = ["one", "zwei", "三", "x".repeat(60 * 1024)];
  for (const text of texts) await alice.sendAll(text);
  expect([await read(bob, 4), await read(carl, 4)]).toEqual([texts, texts]);
  await carl.sendTo(alice.userId, new Uint8Array([1, 2, 3]));
  expect(await read(alice, 1)).toEqual(["3 bytes"]);
});

describe("a WebSocket", () => {
  test("that is refused names where to", async () => {
    const { server, info } = serve();
    await server.stop(true);
    const told = events();
    const opening = websocket(info, told, new AbortController().signal);
    await expect(opening).rejects.toThrow(info.webSocketUrl);
    expect(told.seen).toEqual([]);
  });

  test("that the server closes says why, once, and takes no more", async () => {
    const { server, info } = serve({ open: (ws) => void ws.close(1013, "too much to do") });
    const told = events();
    const transport = await websocket(info, told, new AbortController().signal);
    await until("it is closed", () => told.seen.length > 0);
    transport.write(new Uint8Array(1));
    transport.close();
    expect(told.seen).toEqual(["closed: the connection closed (too much to do)"]);
    await server.stop(true);
  });

  test("that is called off while it opens is not opened", async () => {
    const { server, info } = serve();
    const abort = new AbortController();
    const told = events();
    const opening = websocket(info, told, abort.signal);
    abort.abort();
    await expect(opening).rejects.toThrow("called off");
    expect(told.seen).toEqual([]);
    await server.stop(true);
  });

  test("sends what was written before it is closed, and then says nothing", async () => {
    const got: string[] = [];
    const { server, info } = serve({
      message: (ws, message) => {
        got.push(message.toString());
        ws.send("late");
      },
      close: () => void got.push("closed"),
    });
    const told = events();
    const transport = await websocket(info, told, new AbortController().signal);
    transport.write(new TextEncoder().encode("last words"));
    transport.close();
    await until("the server sees the end", () => got.length === 2);
    expect([got, told.seen]).toEqual([["last words", "closed"], []]);
    await server.stop(true);
  });

  test("that takes nothing any more ends before it fills the memory", async () => {
    const { server, info } = serve();
    const told = events();
    const transport = await websocket(info, told, new AbortController().signal);
    // In one go, so that nothing of it leaves in between.
    for (let i = 0; i < 64; i++) transport.write(new Uint8Array(1024 * 1024));
    expect(told.seen).toEqual([
      expect.stringMatching(/^closed: \d+ bytes wait for the network, limit 1048576$/),
    ]);
    await server.stop(true);
  });
});

describe("where a server takes WebSockets", () => {
  for (const [given, routeUrl, reached] of [
    ["ws://10.0.0.1:8081/socket", "http://10.0.0.9:8083", "ws://10.0.0.1:8081/socket"],
    ["wss://chat.example.com/ws/1", "https://chat.example.com/", "wss://chat.example.com/ws/1"],
    ["/ws/1", "https://chat.example.com/deep/down/", "wss://chat.example.com/ws/1"],
    ["/ws/1", "http://127.0.0.1:8083", "ws://127.0.0.1:8083/ws/1"],
    // Found by its loopback address, it is on the machine of the route.
    ["ws://127.0.0.1:8081/socket", "http://192.168.1.5:8083", "ws://192.168.1.5:8081/socket"],
    ["ws://127.0.0.1:8081/socket", "http://localhost:8083", "ws://127.0.0.1:8081/socket"],
  ] as const) {
    test(`${given} from ${routeUrl} is ${reached}`, () => {
      expect(webSocketUrl(given, routeUrl)).toBe(reached);
    });
  }
});
