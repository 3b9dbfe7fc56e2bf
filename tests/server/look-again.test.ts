/** Messages may have passed a server by: its clients ask for what they lack. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { LookAgain } from "../../server/look-again.ts";
import { type OpenServer, openTestServer } from "./open-server.ts";

let cim: OpenServer;

beforeEach(async () => {
  cim = await openTestServer();
});
afterEach(() => cim[Symbol.asyncDispose]());

const everything = { body: { case: "lookAgain" as const, value: { everything: true } } };
const toEveryone = { body: { case: "lookAgain" as const, value: { everything: false } } };

test("after messages to everyone passed by, each client is told that it lags there", async () => {
  const wire = await cim.client();
  await cim.route.next("confirm");
  await cim.route.push(cim.httpPort, toEveryone);
  expect((await wire.body("lagging")).conversations).toEqual(["all"]);
  expect(cim.route.items).toEqual([]);
});

test("after anything passed by, each session is confirmed anew before its client asks for everything", async () => {
  const wire = await cim.client({ sessionId: "s2" });
  await cim.route.next("confirm");
  await cim.route.push(cim.httpPort, everything);
  expect((await wire.body("lagging")).conversations).toEqual([]);
  wire.control({ case: "sync", value: {} });
  await wire.pages();
  expect(cim.route.items.map(({ sessionId, body }) => [sessionId, body.case])).toEqual([
    ["s2", "confirm"],
    ["s2", "sync"],
  ]);
});

test("a session that was taken over elsewhere meanwhile ends, as its server learns only now", async () => {
  const wire = await cim.client();
  await cim.route.next("confirm");
  cim.route.answer = () => ({ code: "9110", goodbye: "kicked" });
  await cim.route.push(cim.httpPort, everything);
  await wire.body("lagging");
  expect((await wire.goodbye()).reason).toBe("kicked");
});

test("a session that is doubted is confirmed anew, and no other", async () => {
  const [wire, other] = [
    await cim.client({ sessionId: "s2" }),
    await cim.client({ userId: 3, sessionId: "s3" }),
  ];
  await cim.route.next("confirm");
  await cim.route.next("confirm");
  const doubt = (sessionId: string) => ({
    body: { case: "lookAgain" as const, value: { everything: true, sessionId } },
  });
  await cim.route.push(cim.httpPort, doubt("s2"), doubt("s4"));
  await wire.body("lagging");
  await other.ping();
  expect((await cim.route.next("confirm")).sessionId).toBe("s2");
});

test("a server that the registry had given up has its clients look again", async () => {
  const wire = await cim.client();
  cim.registrar.returned();
  expect((await wire.body("lagging")).conversations).toEqual([]);
});

test("a round goes in slices, and what is asked for during it is one more round", async () => {
  const told: string[] = [];
  const client = (name: number) => ({
    party: { lookAgain: (everything: boolean) => void told.push(`${name} ${everything}`) },
  });
  const clients = Array.from({ length: 100 }, (_, name) => client(name));
  const again = new LookAgain({ all: () => clients });
  again.start(false);
  again.start(true);
  again.start(false);
  expect(told).toHaveLength(64);
  while (told.length < 200) await setImmediate();
  await setImmediate();
  expect(told).toEqual([
    ...clients.map((_, name) => `${name} false`),
    ...clients.map((_, name) => `${name} true`),
  ]);
});
