import { afterEach, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { CimV2Client } from "./cim-v2-client.ts";
import { callV2 } from "./cim-v2-http.ts";
import { cutV2, decodeV2, encodeV2, V2_COMMAND } from "./cim-v2-wire.ts";

const LOGIN = { cmd: V2_COMMAND.LOGIN_REQUEST, requestId: 300, reqMsg: "张三" };
const PUSH = {
  cmd: V2_COMMAND.OFFLINE,
  requestId: 2 ** 53 - 1,
  batchReqMsg: ["a", "", "c"],
  properties: { sendUserId: "1", sendUserName: "ann", receiveUserId: "2" },
};
const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

test("a login frame is these bytes", () => {
  // length 11 | field 1, 6 bytes of UTF-8 | field 2, varint 300; cmd 0 is left out
  expect(Buffer.from(encodeV2(LOGIN)).toString("hex")).toBe("0b0a06e5bca0e4b88910ac02");
});

test("a push comes out as it went in, whichever way the stream is cut", () => {
  const stream = Buffer.concat([encodeV2(PUSH), encodeV2(LOGIN)]);
  const whole = [
    { reqMsg: "", unknown: [], ...PUSH },
    { properties: {}, batchReqMsg: [], unknown: [], ...LOGIN },
  ];
  for (let cut = 0; cut <= stream.length; cut++) {
    const first = cutV2(stream.subarray(0, cut));
    const second = cutV2(Buffer.concat([first.rest, stream.subarray(cut)]));
    expect([cut, ...first.frames, ...second.frames]).toEqual([cut, ...whole]);
  }
});

test("fields CIM v2 does not have are skipped and named", () => {
  const bytes = Buffer.from("8a0103616263" + "1802", "hex"); // field 17, 3 bytes; cmd 2
  expect(decodeV2(bytes)).toEqual({
    reqMsg: "",
    requestId: 0,
    cmd: V2_COMMAND.PING,
    properties: {},
    batchReqMsg: [],
    unknown: [17],
  });
});

test("an answer with a field a Java peer does not know is an error", async () => {
  const url = serveJson({ code: "9000", message: "Success", reqNo: null, dataBody: null, trace: "1" });
  await expect(callV2(url, "/offLine", {})).rejects.toThrow("unknown to CIM v2: trace");
  const nested = serveJson({
    code: "9000",
    message: "Success",
    reqNo: null,
    dataBody: { userId: 1, token: "t" },
  });
  await expect(callV2(nested, "/registerAccount", {})).rejects.toThrow("unknown to CIM v2: token");
});

test("the listener is called in order, once for each message of a batch", async () => {
  const client = await connected((socket) => socket.write(encodeV2({ ...PUSH, requestId: 2 })));
  expect(await client.texts(3)).toEqual(["a", "", "c"]);
  expect(client.received[2]).toEqual({ text: "c", sendUserId: "1", sendUserName: "ann", offline: true });
});

test("a frame that is no PING and names no receiver makes the client fail", async () => {
  const client = await connected((socket) => socket.end(encodeV2({ cmd: V2_COMMAND.MESSAGE, reqMsg: "x" })));
  await client.ended();
  await expect(client.close()).rejects.toThrow("a frame of cmd 1 without receiveUserId");
});

function serveJson(answer: unknown): string {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json(answer) });
  stops.push(() => void server.stop(true));
  return `http://127.0.0.1:${server.port}`;
}

/** A client with the id 2, connected to a server that does `greet` once it has heard something. */
async function connected(greet: (socket: Socket) => void): Promise<CimV2Client> {
  const route = serveJson({
    code: "9000",
    message: "Success",
    reqNo: null,
    dataBody: { userId: 2, userName: "bob" },
  });
  const server: Server = createServer((socket) => socket.once("data", () => greet(socket)));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  stops.push(() => server.close());
  const client = await CimV2Client.register(route, "bob");
  await client.connect("127.0.0.1", (server.address() as { port: number }).port);
  stops.push(() => void client.vanish());
  return client;
}
