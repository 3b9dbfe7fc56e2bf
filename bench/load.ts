/**
 * The other side of the wire, as light as can be: clients that log in, send, read and acknowledge by the protocol,
 * with frames built and read by hand. Each chats with one partner. A process of its own; it says what it saw as JSON.
 */
import { ALL, p2p } from "../proto/conversation.ts";
import { encodeFrame, FrameReader, varintSize, writeVarint } from "../proto/frame.ts";
import { Command } from "../proto/gen/cim_pb.ts";

export interface Load {
  routeUrl: string;
  clients: number;
  /** Messages one client has without a receipt at a time. */
  window: number;
  /** Messages offered in a second, over all clients; 0: as many as get through. */
  perSecond: number;
  textBytes: number;
  warmUpMs: number;
  measureMs: number;
}

export interface Observed {
  accepted: number;
  delivered: number;
  refused: number;
  measuredMs: number;
  receiptMs: Latencies;
  deliveryMs: Latencies;
  /** Time in which this process did nothing: a load generator without any is the bottleneck. */
  processorSeconds: number;
}

interface Latencies {
  p50: number;
  p99: number;
  max: number;
}

const LOGINS_AT_ONCE = 64;
const ACK_EVERY_MS = 200;
const TICK_MS = 5;
const SAMPLES = 200_000;
/** Milliseconds with two decimals, in a messageId. */
const STAMP_SCALE = 100;
const STAMP_LENGTH = 10;
/** Receipt.code "8000". */
const REFUSED = "\x12\x048000";

class Client {
  socket!: Bun.Socket<Client>;
  partner!: Client;
  conversation = "";
  underWay = 0;
  acked = 0;
  seen = 0;
  out: Uint8Array | null = null;
  readonly reader = new FrameReader();

  constructor(
    readonly userId: number,
    readonly token: string,
    readonly server: { ip: string; port: number },
  ) {}
}

class Samples {
  readonly #values = new Float64Array(SAMPLES);
  #count = 0;

  add(value: number): void {
    this.#values[this.#count++ % SAMPLES] = value;
  }

  clear(): void {
    this.#count = 0;
  }

  summary(): Latencies {
    const sorted = this.#values.slice(0, Math.min(this.#count, SAMPLES)).sort();
    const at = (part: number) =>
      Math.round((sorted[Math.floor(part * (sorted.length - 1))] ?? 0) * 100) / 100;
    return { p50: at(0.5), p99: at(0.99), max: at(1) };
  }
}

const seen = { accepted: 0, delivered: 0, refused: 0 };
const receipts = new Samples();
const deliveries = new Samples();
let measuring = false;
let sending = true;
let load: Load;
let template: Template;

/** A Send of one message: everything but the conversation stands still, and the messageId says when. */
class Template {
  readonly #text: Uint8Array;

  constructor(textBytes: number) {
    this.#text = new TextEncoder().encode("x".repeat(textBytes));
  }

  frame(conversation: string, count: number): Uint8Array {
    const id = String(Math.floor(performance.now() * STAMP_SCALE)).padStart(STAMP_LENGTH, "0");
    const name = new TextEncoder().encode(conversation);
    const parts: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const messageId = new TextEncoder().encode(`${id}-${unique++}`);
      const outgoing = concat([field(1, name), field(2, messageId), field(3, this.#text)]);
      parts.push(field(1, outgoing));
    }
    const body = concat([new Uint8Array([0x18, Command.CONTROL]), field(20, concat(parts))]);
    const out = new Uint8Array(varintSize(body.length) + body.length);
    out.set(body, writeVarint(out, 0, body.length));
    return out;
  }
}

let unique = 0;

function field(number: number, bytes: Uint8Array): Uint8Array {
  const tag = (number << 3) | 2;
  const out = new Uint8Array(varintSize(tag) + varintSize(bytes.length) + bytes.length);
  out.set(bytes, writeVarint(out, writeVarint(out, 0, tag), bytes.length));
  return out;
}

function concat(parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function write(client: Client, bytes: Uint8Array): void {
  if (client.out) {
    client.out = concat([client.out, bytes]);
    return;
  }
  const taken = client.socket.write(bytes);
  if (taken < bytes.length) client.out = bytes.slice(Math.max(0, taken));
}

function drain(client: Client): void {
  const rest = client.out;
  client.out = null;
  if (rest) write(client, rest);
}

function send(client: Client, count: number): void {
  client.underWay = count;
  write(client, template.frame(client.conversation, count));
}

/** The frames a server sends a client that is logged in: told apart by their first bytes. */
function take(client: Client, frame: Uint8Array): void {
  if (frame[1] === Command.MESSAGE) delivered(client, frame);
  else if (frame[1] === Command.CONTROL && frame[2] === 0xaa) sent(client, frame);
}

function delivered(client: Client, frame: Uint8Array): void {
  seen.delivered++;
  let at = frame.length - 1;
  while (frame[at - 1]! >= 0x80) at--;
  let seq = 0;
  for (let i = at, shift = 1; i < frame.length; i++, shift *= 128) seq += (frame[i]! & 0x7f) * shift;
  client.seen = Math.max(client.seen, seq);
  if (measuring) deliveries.add(performance.now() - stampIn(frame));
}

function sent(client: Client, frame: Uint8Array): void {
  if (measuring) receipts.add(performance.now() - stampIn(frame));
  const refused = Buffer.from(frame).includes(REFUSED);
  if (refused) seen.refused += client.underWay;
  else seen.accepted += client.underWay;
  client.underWay = 0;
  if (sending && load.perSecond === 0) send(client, load.window);
}

/** When the first message in the frame was sent: its messageId is the only run of so many digits before a dash. */
function stampIn(frame: Uint8Array): number {
  const dash = frame.indexOf(0x2d);
  let stamp = 0;
  for (let i = dash - STAMP_LENGTH; i < dash; i++) stamp = stamp * 10 + frame[i]! - 0x30;
  return stamp / STAMP_SCALE;
}

// biome-ignore lint/suspicious/noExplicitAny: an answer's shape is the API's to say
async function post(path: string, body: object): Promise<any> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(load.routeUrl + path, { method: "POST", headers, body: JSON.stringify(body) });
  const { code, message, dataBody } = (await response.json()) as {
    code: string;
    message: string;
    dataBody: never;
  };
  if (code !== "9000") throw new Error(`${path}: ${code} ${message}`);
  return dataBody;
}

async function login(name: string): Promise<Client> {
  const { userId } = await post("/registerAccount", { userName: name });
  const place = await post("/login", { userId, userName: name, device: "load" });
  const client = new Client(userId, place.token, { ip: place.ip, port: place.cimServerPort });
  await connect(client);
  return client;
}

function connect(client: Client): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const hello = {
    cmd: Command.LOGIN,
    body: { case: "login" as const, value: { token: client.token, client: "load" } },
  };
  const handle = (frame: Uint8Array) => {
    if (frame[2] === 0x8a)
      resolve(); // welcome
    else take(client, frame);
  };
  void Bun.connect<Client>({
    hostname: client.server.ip,
    port: client.server.port,
    data: client,
    socket: {
      open(socket) {
        client.socket = socket;
        socket.write(encodeFrame(hello as never));
      },
      data: (_, bytes) => client.reader.push(bytes, handle),
      drain: () => drain(client),
      close: () => reject(new Error(`the server closed the connection of ${client.userId}`)),
      connectError: (_, error) => reject(error),
    },
  });
  return promise;
}

function acknowledge(clients: Client[]): void {
  for (const client of clients) {
    if (client.seen === client.acked) continue;
    client.acked = client.seen;
    const cursors = [{ conversation: client.conversation, seq: BigInt(client.seen) }];
    write(client, encodeFrame({ cmd: Command.CONTROL, body: { case: "ack", value: { cursors } } } as never));
  }
}

/** Offers `perSecond` messages in a second, spread over the clients; one that has none free is passed over. */
function offer(clients: Client[]): ReturnType<typeof setInterval> {
  const began = performance.now();
  let offered = 0;
  let next = 0;
  return setInterval(() => {
    const due = ((performance.now() - began) / 1000) * load.perSecond;
    for (let tries = 0; offered < due && tries < clients.length; tries++) {
      const client = clients[next++ % clients.length]!;
      if (client.underWay > 0) continue;
      send(client, 1);
      offered++;
    }
  }, TICK_MS);
}

async function run(): Promise<Observed> {
  const clients: Client[] = [];
  for (let first = 0; first < load.clients; first += LOGINS_AT_ONCE) {
    const count = Math.min(LOGINS_AT_ONCE, load.clients - first);
    clients.push(...(await Promise.all(Array.from({ length: count }, (_, i) => login(`load-${first + i}`)))));
  }
  for (const [i, client] of clients.entries()) {
    client.partner = clients[i ^ 1]!;
    client.conversation = client.partner ? p2p(client.userId, client.partner.userId) : ALL;
  }
  const acks = setInterval(() => acknowledge(clients), ACK_EVERY_MS);
  const offers = load.perSecond > 0 ? offer(clients) : null;
  if (load.perSecond === 0) for (const client of clients) send(client, load.window);

  await Bun.sleep(load.warmUpMs);
  process.stdout.write("measuring\n");
  measuring = true;
  const before = { ...seen, at: performance.now(), cpu: process.cpuUsage() };
  await Bun.sleep(load.measureMs);
  const cpu = process.cpuUsage(before.cpu);
  const observed = {
    accepted: seen.accepted - before.accepted,
    delivered: seen.delivered - before.delivered,
    refused: seen.refused - before.refused,
    measuredMs: performance.now() - before.at,
    receiptMs: receipts.summary(),
    deliveryMs: deliveries.summary(),
    processorSeconds: (cpu.user + cpu.system) / 1e6,
  };
  process.stdout.write("measured\n");
  sending = false;
  if (offers) clearInterval(offers);
  clearInterval(acks);
  return observed;
}

if (import.meta.main) {
  load = JSON.parse(process.argv[2]!) as Load;
  template = new Template(load.textBytes);
  process.stdout.write(`${JSON.stringify(await run())}\n`);
  process.exit(0);
}
