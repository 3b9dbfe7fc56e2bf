import { afterEach, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../../common/config.ts";
import { type Listener, listenRoute } from "../../route/listen.ts";
import { OpenRoute } from "./open-route.ts";

const LOCAL = { host: "127.0.0.1", routePort: 0, tlsCert: "", tlsKey: "" };
const answering = {
  fetch: async (_: Request, client?: { address: string }) => Response.json(client?.address),
};

const opened: Listener[] = [];
function listen(...given: Parameters<typeof listenRoute>): Listener {
  const listener = listenRoute(...given);
  opened.push(listener);
  return listener;
}
afterEach(async () => {
  for (const listener of opened.splice(0)) await listener.close();
});

test("port 0 takes a free one, and the route is told who calls", async () => {
  const { url } = listen(LOCAL, answering);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d+$/);
  expect(await (await fetch(url)).json()).toBe("127.0.0.1");
});

test("a port that is taken stops the start, and says so in a line", () => {
  const { url } = listen(LOCAL, answering);
  const routePort = Number(new URL(url).port);
  expect(() => listen({ ...LOCAL, routePort }, answering)).toThrow(
    new ConfigError(`CIM_ROUTE_PORT=${routePort}: the port is taken`),
  );
});

test("an address of another machine stops the start", () => {
  expect(() => listen({ ...LOCAL, host: "192.0.2.1" }, answering)).toThrow(
    new ConfigError("CIM_HOST=192.0.2.1: not an address of this machine"),
  );
});

test("certificates that are missing or none stop the start", async () => {
  const directory = await mkdtemp(join(tmpdir(), "cim-listen-"));
  const [missing, text] = [join(directory, "missing.pem"), join(directory, "text.pem")];
  await writeFile(text, "not a certificate");
  expect(() => listen({ ...LOCAL, tlsCert: missing, tlsKey: text }, answering)).toThrow(
    `CIM_TLS_CERT=${missing}: cannot read it: ENOENT`,
  );
  expect(() => listen({ ...LOCAL, tlsCert: text, tlsKey: text }, answering)).toThrow(
    "no certificate and key in PEM",
  );
  await rm(directory, { recursive: true });
});

test("closing answers what is under way, and takes nothing more", async () => {
  const arrived = Promise.withResolvers<void>();
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const listener = listen(LOCAL, {
    async fetch() {
      arrived.resolve();
      await finished;
      return new Response("the answer");
    },
  });
  const answer = fetch(listener.url).then((response) => response.text());
  await arrived.promise;
  const closed = listener.close();
  finish();
  expect(await answer).toBe("the answer");
  await closed;
  expect(fetch(listener.url)).rejects.toThrow();
});

test("a thousand connects at once are all answered", async () => {
  const { url } = listen(LOCAL, answering);
  const answers = Array.from({ length: 1000 }, async () => (await fetch(url, { keepalive: false })).status);
  expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
});

test("a body over the limit is answered as every error is, with and without its length", async () => {
  await using route = await OpenRoute.start({ CIM_MAX_BODY_BYTES: "1024" });
  const { url } = listen(LOCAL, route.route);
  const headers = { "content-type": "application/json" };
  const chunks = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 200; i++) controller.enqueue(new Uint8Array(1024).fill(32));
      controller.close();
    },
  });
  const answers = [];
  for (const body of [" ".repeat(200_000), chunks]) {
    const response = await fetch(`${url}/login`, { method: "POST", headers, body });
    answers.push([response.status, ((await response.json()) as { message: string }).message]);
  }
  expect(answers).toEqual([
    [200, "body of 200000 bytes or more, limit 1024"],
    [200, expect.stringMatching(/^body of \d+ bytes or more, limit 1024$/)],
  ]);
});
