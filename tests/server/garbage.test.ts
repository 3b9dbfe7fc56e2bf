import { expect, test } from "bun:test";
import { delimit, encodeFrame, MAX_FRAME_BYTES } from "../../proto/frame.ts";
import { Command } from "../../proto/gen/cim_pb.ts";
import { delivery } from "./far-route.ts";
import { openTestServer } from "./open-server.ts";

test("200 sockets with garbage end, while a good client is served; none of them is told anything", async () => {
  await using cim = await openTestServer();
  const good = await cim.client({ userId: 2 });
  const bad = await Promise.all(Array.from({ length: 200 }, () => cim.connect()));
  const served: bigint[] = [];
  for (const [i, wire] of bad.entries()) {
    // As a frame, so that no length in it promises more that would be waited for; and then a length that never ends.
    wire.write(delimit(garbage(i, 1 + ((i * 37) % 3000))));
    wire.write(new Uint8Array(8).fill(0xff));
    if (i % 20 === 0) {
      const seq = served.length + 1;
      await cim.route.push(cim.httpPort, delivery("p2p:1:2", seq, "hi", { userIds: [2n] }));
      served.push((await good.message()).seq);
    }
  }
  await Promise.all(bad.map((wire) => wire.ended));
  expect([served, bad.flatMap((wire) => wire.frames)]).toEqual([served.map((_, i) => BigInt(i + 1)), []]);
  expect((await good.ping()).text).toBe("pong");
});

test("before the login nothing but a login is taken, and nothing is said", async () => {
  await using cim = await openTestServer({ CIM_AUTH: "open" });
  const refused = [
    Uint8Array.of(0),
    Uint8Array.of(0x81, 0x80, 0x04),
    encodeFrame({ cmd: Command.PING, requestId: 2n }),
    encodeFrame({ cmd: Command.CONTROL, body: { case: "sync", value: {} } }),
    encodeFrame({ body: { case: "sync", value: {} } }),
    encodeFrame({ text: "nobody" }),
    encodeFrame({ requestId: -1n, text: "nobody" }),
    encodeFrame({ requestId: 2n ** 53n, text: "nobody" }),
    encodeFrame({ requestId: 2n }),
    encodeFrame({ requestId: 2n, text: "x".repeat(129) }),
    // No login is as long: who has not logged in gets no room for more.
    encodeFrame({ requestId: 2n, text: "x".repeat(4096) }).subarray(0, 2),
  ];
  for (const bytes of refused) {
    const wire = await cim.connect();
    wire.write(bytes);
    await wire.ended;
    expect([bytes.toHex(), wire.frames]).toEqual([bytes.toHex(), []]);
  }
  expect(cim.route.items).toEqual([]);
});

test("a frame of exactly the limit is taken, and one cut anywhere, a byte at a time", async () => {
  await using cim = await openTestServer();
  const wire = await cim.client();
  const overhead = encodeFrame({ cmd: Command.PING, text: "x".repeat(60_000) }).length - 3 - 60_000;
  const largest = encodeFrame({ cmd: Command.PING, text: "x".repeat(MAX_FRAME_BYTES - overhead) });
  expect(largest.length).toBe(MAX_FRAME_BYTES + 3);
  wire.write(largest);
  expect((await wire.next()).text).toBe("pong");
  for (const byte of encodeFrame({ cmd: Command.PING, requestId: 3n })) wire.write(Uint8Array.of(byte));
  expect((await wire.next()).requestId).toBe(3n);
});

test("a flood of frames ends the connection that sends it", async () => {
  await using cim = await openTestServer();
  const wire = await cim.client();
  const ping = encodeFrame({ cmd: Command.PING });
  wire.write(Buffer.concat(Array.from({ length: 50_000 }, () => ping)));
  await wire.ended;
  const goodbyes = wire.frames.flatMap(({ body }) => (body.case === "goodbye" ? [body.value.text] : []));
  expect(goodbyes).toEqual(["more than 10000 frames in 500 ms"]);
});

test("sockets that send half a frame and stop cost nobody else anything", async () => {
  await using cim = await openTestServer();
  const halves = await Promise.all(Array.from({ length: 50 }, () => cim.connect()));
  for (const wire of halves) wire.write(Uint8Array.of(0x80, 0x80, 0x04, 1, 2, 3));
  const good = await cim.client();
  expect((await good.ping()).text).toBe("pong");
  for (const wire of halves) wire.drop();
  await Promise.all(halves.map((wire) => wire.ended));
});

test("a reader that never reads holds up nobody, and costs no more than its limit", async () => {
  await using cim = await openTestServer();
  const stuck = await cim.client({ userId: 3, sessionId: "s3" });
  stuck.pause();
  const good = await cim.client({ userId: 2, sessionId: "s2" });
  const text = "x".repeat(32 * 1024);
  const count = 60;
  for (let seq = 1; seq <= count; seq++) {
    await cim.route.push(cim.httpPort, delivery("all", seq, text, { everyone: true }));
    expect((await good.message()).seq).toBe(BigInt(seq));
    good.ack("all", seq);
  }
  stuck.resume();
  await stuck.ping();
  expect(stuck.bytesReceived).toBeLessThan(300 * 1024);
});

/** The same bytes for the same seed: a linear congruential generator, the constants of Numerical Recipes. */
function garbage(seed: number, length: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}
