import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tcp } from "../../../client/sdk/tcp.ts";

let directory: string;
let tls: { cert: Bun.BunFile; key: Bun.BunFile };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cim-tcp-"));
  const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const openssl = [
    "openssl",
    "req",
    "-x509",
    ...ec,
    "-nodes",
    "-days",
    "2",
    ...names,
    "-keyout",
    key,
    "-out",
    cert,
  ];
  await Bun.spawn(openssl, { stderr: "ignore" }).exited;
  tls = { cert: Bun.file(cert), key: Bun.file(key) };
});
afterAll(() => rm(directory, { recursive: true }));

test("a server whose certificate nobody vouches for gets no byte, and the reason is told", async () => {
  let heard = 0;
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls,
    socket: {
      data: (_, bytes) => {
        heard += bytes.length;
      },
    },
  });
  const { promise: closed, resolve } = Promise.withResolvers<string>();
  const server = { host: "127.0.0.1", port: listener.port, httpPort: 1, tls: true, webSocketUrl: "" };
  const transport = await tcp(server, { data() {}, closed: resolve }, new AbortController().signal);
  transport.write(new TextEncoder().encode("a token"));
  const why = await closed;
  listener.stop(true);
  expect([why, heard]).toEqual([`TLS with 127.0.0.1:${listener.port}: self signed certificate`, 0]);
});

test("a dial that is called off leaves no connection behind, whenever it opens", async () => {
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data() {}, close: () => resolve("closed") },
  });
  const off = new AbortController();
  const server = { host: "127.0.0.1", port: listener.port, httpPort: 1, tls: false, webSocketUrl: "" };
  const dialled = tcp(server, { data() {}, closed() {} }, off.signal).catch((error: Error) => error.message);
  off.abort(new Error("called off"));
  expect([await dialled, await ended]).toEqual([`127.0.0.1:${listener.port}: called off`, "closed"]);
  listener.stop(true);
});

test("an address where nobody listens is named", async () => {
  const server = { host: "127.0.0.1", port: 1, httpPort: 1, tls: false, webSocketUrl: "" };
  const dialled = tcp(server, { data() {}, closed() {} }, new AbortController().signal);
  await expect(dialled).rejects.toThrow(/^127\.0\.0\.1:1: /);
});
