import { expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Link } from "../../common/link.ts";
import { leaseRegistrar } from "../../common/registry/route.ts";
import { Tokens } from "../../common/token.ts";
import { SendSchema, SentSchema } from "../../proto/gen/cim_pb.ts";
import { ADMIN_KEY, OpenRoute, SECRET } from "./open-route.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const CALLS = ["uplink", "announce", "leave"];

test("internal calls are for servers that know the secret: 401 for all others, and nothing happens", async () => {
  await using route = await OpenRoute.start();
  const ann = await route.login("ann");
  const expiresAt = Date.now() + 60_000;
  const tokens = [
    undefined,
    "x",
    ADMIN_KEY,
    ann.token,
    await route.tokens.sign({ kind: "service", role: "route", expiresAt }),
    await route.tokens.sign({ kind: "service", role: "server", expiresAt: Date.now() - 1 }),
    await new Tokens(`not ${SECRET}`).sign({ kind: "service", role: "server", expiresAt }),
  ];
  const statuses = new Set<number>();
  for (const name of CALLS) {
    for (const token of tokens) {
      const body = JSON.stringify({ ...route.servers[0]!.instance, host: "6.6.6.6" });
      const headers = { "content-type": "application/json" };
      statuses.add((await route.fetch(`/internal/${name}`, { method: "POST", token, headers, body })).status);
    }
  }
  expect([[...statuses], route.leases.servers().length]).toEqual([[401], 1]);
});

test("a server that announces itself is alive, and one that leaves is not", async () => {
  await using route = await OpenRoute.start({}, { servers: 0 });
  const link = new Link("server", route.tokens, (request) => route.route.fetch(request));
  const registrar = leaseRegistrar(link, "http://route", silent);
  const { instance } = route.addServer(1);
  route.leases.leave("10.0.0.1:11211:8081", instance.bootId);
  const announced = { ...instance, bootId: "announced" };
  await registrar.announce(() => announced);
  const alive = route.leases.servers();
  await registrar.leave();
  expect([alive, route.leases.servers()]).toEqual([[announced], []]);
});

test("what is no announcement is refused with 400 and changes nothing", async () => {
  await using route = await OpenRoute.start();
  const [{ instance }] = route.servers as [(typeof route.servers)[0]];
  const authorization = await serviceToken(route);
  const messages = [];
  for (const given of [
    { host: "a:b" },
    { host: "a\nb" },
    { port: 0 },
    { port: 70_000 },
    { bootId: "" },
    { full: 1 },
  ]) {
    const body = JSON.stringify({ ...instance, ...given });
    const headers = { "content-type": "application/json", authorization };
    const response = await route.fetch("/internal/announce", { method: "POST", headers, body });
    messages.push([response.status, ((await response.json()) as { message: string }).message]);
  }
  expect([messages, route.leases.servers()]).toEqual([
    [
      [400, 'host="a:b": want a host name or IPv4 address'],
      [400, 'host="a\\nb": want a host name or IPv4 address'],
      [400, "port=0: want a whole number from 1 to 65535"],
      [400, "port=70000: want a whole number from 1 to 65535"],
      [400, 'bootId="": want 1 to 64 characters'],
      [400, "full=1: want true or false"],
    ],
    [instance],
  ]);
});

test("bytes that are no batch of items are refused with 400", async () => {
  await using route = await OpenRoute.start();
  const headers = { "content-type": "application/x-protobuf", authorization: await serviceToken(route) };
  const body = new Uint8Array([0xff, 0xff, 0xff]);
  expect((await route.fetch("/internal/uplink", { method: "POST", headers, body })).status).toBe(400);
});

test("what a server hands on from its client goes the way of every message", async () => {
  await using route = await OpenRoute.start();
  const [ann, bob] = [await route.online("ann"), await route.online("bob")];
  const conversation = `p2p:${ann.userId}:${bob.userId}`;
  const messages = [{ conversation, messageId: "m-1", content: { case: "text" as const, value: "hello" } }];
  const send = toBinary(SendSchema, create(SendSchema, { messages }));
  const result = await route.uplink(ann.token, { case: "send", value: send });
  const [receipt] = fromBinary(SentSchema, result.sent).receipts;
  expect([result.code, receipt]).toMatchObject(["9000", { messageId: "m-1", code: "9000", seq: 1n }]);
});

// It was a failure that may pass: the server asked again, four times a second, and the route logged each.
test("a sync after what is no seq is refused for good", async () => {
  await using route = await OpenRoute.start();
  const ann = await route.online("ann");
  const pages = (seq: bigint) =>
    route.uplink(ann.token, { case: "sync", value: { after: [{ conversation: "all", seq }] } });
  const results = [await pages(2n ** 53n - 1n), await pages(2n ** 53n), await pages(2n ** 64n - 1n)];
  expect(results.map(({ code, text }) => `${code} ${text}`)).toEqual([
    "9000 ",
    "3000 a sync of all after 9007199254740992, which is no seq",
    "3000 a sync of all after 18446744073709551615, which is no seq",
  ]);
});

async function serviceToken(route: OpenRoute): Promise<string> {
  const expiresAt = Date.now() + 60_000;
  return `Bearer ${await route.tokens.sign({ kind: "service", role: "server", expiresAt })}`;
}
