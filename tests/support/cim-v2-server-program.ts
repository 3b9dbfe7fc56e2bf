/**
 * A server as CIM v2's, written from its description alone: it registers in ZooKeeper without a word about itself,
 * believes whoever logs in, pushes what POST /sendMsg brings, answers Success for users it does not have, and tells the
 * route who went. What a Java peer would fail at it prints as a fault. Shares no code with the product.
 *
 * `bun cim-v2-server-program.ts <zookeeper host:port> <chroot> <session ms> <port> <HTTP port> <route URL>`
 */
import { createServer, type Socket } from "node:net";
import zookeeper from "node-zookeeper-client";
import { callV2 } from "./cim-v2-http.ts";
import { cutV2, encodeV2, V2_COMMAND, type V2Frame } from "./cim-v2-wire.ts";

/** The fields of /sendMsg, with those every request of CIM v2 may have. */
const SEND_MSG = ["msg", "batchMsg", "userId", "cmd", "properties", "reqNo", "timeStamp"];
const PROPERTIES = ["sendUserId", "sendUserName", "receiveUserId"];

function say(kind: string, what: unknown): void {
  console.log(`${kind} ${JSON.stringify(what)}`);
}

async function run(args: string[]): Promise<void> {
  const [host, chroot, sessionMs, port, httpPort, routeUrl] = args as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const sockets = new Map<number, Socket>();
  listenTcp(Number(port), routeUrl, sockets);
  Bun.serve({ hostname: "127.0.0.1", port: Number(httpPort), fetch: (request) => answer(request, sockets) });
  await register(host, Number(sessionMs), `${chroot}/cim`, `127.0.0.1:${port}:${httpPort}`);
  console.log("registered");
}

function listenTcp(port: number, routeUrl: string, sockets: Map<number, Socket>): void {
  const server = createServer((socket) => {
    let rest: Uint8Array = new Uint8Array();
    let userId = 0;
    const take = ({ cmd, requestId }: V2Frame) => {
      if (cmd === V2_COMMAND.LOGIN_REQUEST) {
        userId = requestId;
        sockets.set(userId, socket);
      } else if (cmd === V2_COMMAND.PING) {
        socket.write(encodeV2({ cmd: V2_COMMAND.PING, requestId, reqMsg: "pong" }));
      }
    };
    socket.on("data", (chunk: Buffer) => {
      const cut = cutV2(Buffer.concat([rest, chunk]));
      rest = cut.rest;
      for (const frame of cut.frames) take(frame);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      if (sockets.get(userId) !== socket) return;
      sockets.delete(userId);
      callV2(routeUrl, "/offLine", { userId, msg: "offLine" }).then(
        () => say("offLine", userId),
        // It tries once, and that is that.
        (error: unknown) => say("lost", String(error)),
      );
    });
  });
  server.listen(port, "127.0.0.1");
}

async function answer(request: Request, sockets: Map<number, Socket>): Promise<Response> {
  const { pathname: path } = new URL(request.url);
  if (path !== "/sendMsg" || request.method !== "POST") {
    return Response.json({ timestamp: "now", status: 404, error: "Not Found", path }, { status: 404 });
  }
  try {
    push(checked(await request.json()), sockets);
  } catch (error) {
    say("fault", String(error));
    return Response.json({ timestamp: "now", status: 400, error: "Bad Request", path }, { status: 400 });
  }
  return Response.json({ code: "9000", message: "Success", reqNo: null, dataBody: { msg: "OK" } });
}

interface SendMsg {
  msg?: string | null;
  batchMsg?: string[] | null;
  userId: number;
  cmd: "MESSAGE" | "OFFLINE";
  properties: Record<string, string>;
}

function checked(given: unknown): SendMsg {
  const body = given as SendMsg;
  knowOnly("/sendMsg", body, SEND_MSG);
  knowOnly("properties", body.properties, PROPERTIES);
  const { msg, batchMsg, userId, cmd, properties } = body;
  const isText = (value: unknown) => typeof value === "string";
  if (!Number.isSafeInteger(userId)) throw new Error(`userId ${userId}`);
  if (cmd !== "MESSAGE" && cmd !== "OFFLINE") throw new Error(`cmd ${cmd}`);
  if (batchMsg?.length ? !batchMsg.every(isText) : !isText(msg)) throw new Error("neither msg nor batchMsg");
  if (!PROPERTIES.every((name) => isText(properties[name])))
    throw new Error(`properties ${JSON.stringify(properties)}`);
  return body;
}

function knowOnly(what: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== "object" || value === null) throw new Error(`${what} ${value}`);
  const unknown = Object.keys(value).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`${what} has unknown fields ${unknown.join(", ")}`);
}

function push({ msg, batchMsg, userId, cmd, properties }: SendMsg, sockets: Map<number, Socket>): void {
  const batch = batchMsg ?? [];
  say("push", { userId, cmd, texts: batch.length > 0 ? batch : [msg], sendUserId: properties.sendUserId });
  const content = batch.length > 0 ? { batchReqMsg: batch } : { reqMsg: msg ?? "" };
  sockets.get(userId)?.write(encodeV2({ requestId: userId, cmd: V2_COMMAND[cmd], properties, ...content }));
}

/** An ephemeral node that holds what its library puts there by default: the machine's address. */
async function register(host: string, sessionMs: number, root: string, name: string): Promise<void> {
  const client = zookeeper.createClient(host, { sessionTimeout: sessionMs });
  const connected = Promise.withResolvers<void>();
  client.once("connected", () => connected.resolve());
  client.connect();
  await connected.promise;
  await new Promise<void>((resolve, reject) => {
    client.mkdirp(root, (error) => (error ? reject(error) : resolve()));
  });
  await new Promise<void>((resolve, reject) => {
    const { EPHEMERAL } = zookeeper.CreateMode;
    client.create(`${root}/${name}`, Buffer.from("127.0.1.1"), EPHEMERAL, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

await run(process.argv.slice(2));
