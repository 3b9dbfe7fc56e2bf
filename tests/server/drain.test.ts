import { expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { SendSchema } from "../../proto/gen/cim_pb.ts";
import { delivery } from "./far-route.ts";
import { openTestServer } from "./open-server.ts";

test("a server that stops leaves the registry, sends its clients elsewhere spread out, and hands over what the route is to know", async () => {
  const cim = await openTestServer();
  const clients = await Promise.all(
    Array.from({ length: 40 }, (_, i) => cim.client({ userId: i + 1, sessionId: `s${i + 1}` })),
  );
  clients[0]!.ack("p2p:1:2", 7);
  await clients[0]!.ping();
  const closed = cim.server.close();
  const goodbyes = await Promise.all(clients.map((client) => client.body("goodbye")));
  await Promise.all([closed, cim.server.close(), ...clients.map((client) => client.ended)]);
  const delays = goodbyes.map(({ afterMs }) => afterMs);
  expect({
    reasons: new Set(goodbyes.map(({ reason }) => reason)),
    spread: new Set(delays).size > 5 && Math.max(...delays) < 20,
    left: cim.registrar.left,
    full: cim.server.instance().full,
    acks: cim.route.items.filter(({ body }) => body.case === "ack").length,
    released: cim.route.items.filter(({ body }) => body.case === "release").length,
  }).toEqual({ reasons: new Set(["shutdown"]), spread: true, left: true, full: true, acks: 1, released: 40 });
  await expect(cim.connect()).rejects.toThrow();
  await expect(fetch(`${cim.httpUrl}/health`)).rejects.toThrow();
  await cim.route.go();
});

test("closing twice, or again later, is once", async () => {
  const cim = await openTestServer();
  await Promise.all([cim.server.close(), cim.server.close()]);
  await cim.server.close();
  await cim.route.go();
});

test("while it drains it says so, and what a client was sent before still arrives", async () => {
  const cim = await openTestServer();
  const bob = await cim.client({ userId: 2, sessionId: "s2" });
  const held = Promise.withResolvers<void>();
  cim.route.answer = async () => {
    await held.promise;
    return {};
  };
  const texts = Array.from({ length: 20 }, (_, i) => `${i} ${"x".repeat(5000)}`);
  await cim.route.push(
    cim.httpPort,
    ...texts.map((text, i) => delivery("p2p:1:2", i + 1, text, { userIds: [2n] })),
  );
  const closed = cim.server.close();
  for (let i = 1; i <= texts.length; i++) expect((await bob.message()).seq).toBe(BigInt(i));
  expect((await bob.goodbye()).reason).toBe("shutdown");
  const health = await cim.server.fetch(new Request("http://x/health"));
  expect([health.status, await health.json()]).toEqual([
    503,
    { status: "trouble", troubles: ["the server is draining"] },
  ]);
  held.resolve();
  await closed;
  await cim.route.go();
});

test("a registry and a route that do not answer hold up the end no longer than they may", async () => {
  const cim = await openTestServer();
  const bob = await cim.client();
  cim.registrar.leave = () => Promise.reject(new Error("the registry is away"));
  await cim.route.go();
  bob.control({ case: "send", value: toBinary(SendSchema, create(SendSchema)) });
  const started = performance.now();
  await cim.server.close();
  expect(performance.now() - started).toBeLessThan(8000);
}, 10_000);

// Waiting for somebody who never logged in takes longer than this test may.
test("a server on which nobody is logged in ends at once", async () => {
  const cim = await openTestServer();
  const mute = await cim.connect();
  await cim.server.close();
  await mute.ended;
  await cim.route.go();
}, 2000);
