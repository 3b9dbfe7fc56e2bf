/**
 * A client that speaks only CIM v2, as one built on its Java SDK does: chat over HTTP, pushes over TCP, no
 * acknowledgements. Written from the description of CIM v2 alone; shares no code with the product.
 */
import { connect, type Socket } from "node:net";
import { callV2, type V2Answer } from "./cim-v2-http.ts";
import { cutV2, encodeV2, V2_COMMAND, type V2Frame } from "./cim-v2-wire.ts";
import { until } from "./until.ts";

/** What its message listener is called with. */
export interface V2Received {
  text: string;
  sendUserId: string;
  sendUserName: string;
  /** It was kept while the receiver was away. */
  offline: boolean;
}

interface Waiter {
  enough(): boolean;
  resolve(): void;
  reject(error: Error): void;
}

const WAIT_MS = 10_000;

export class CimV2Client {
  /** In the order of the listener's calls. */
  readonly received: V2Received[] = [];
  readonly frames: V2Frame[] = [];
  /** What a Java peer would have failed at. */
  readonly faults: string[] = [];
  pongs = 0;
  closed = true;
  /** Where it is, or was, connected. */
  serverPort = 0;

  #socket: Socket | null = null;
  #rest: Uint8Array = new Uint8Array();
  #waiters: Waiter[] = [];

  private constructor(
    readonly routeUrl: string,
    readonly userId: number,
    readonly userName: string,
  ) {}

  /** Registers the name (an id that is known already is answered again). */
  static async register(routeUrl: string, userName: string): Promise<CimV2Client> {
    const answer = await callV2<{ userId: number; userName: string }>(routeUrl, "/registerAccount", {
      userName,
    });
    if (answer.code !== "9000") throw new Error(`register ${userName}: ${answer.code} ${answer.message}`);
    return new CimV2Client(routeUrl, answer.dataBody.userId, answer.dataBody.userName);
  }

  /** Registers, logs in and connects. */
  static async start(routeUrl: string, userName: string): Promise<CimV2Client> {
    const client = await CimV2Client.register(routeUrl, userName);
    await client.login();
    return client;
  }

  /** POST /login, then the TCP login frame. CIM v2 gets no reply to it; the pong of a ping behind it shows it is served. */
  async login(): Promise<void> {
    const answer = await this.claim();
    if (answer.code !== "9000") throw new Error(`login ${this.userName}: ${answer.code} ${answer.message}`);
    await this.connect(answer.dataBody.ip, answer.dataBody.cimServerPort);
    await this.ping();
  }

  /** As `login`, for one whose last session may not be over yet. */
  async loginAgain(deadlineMs?: number): Promise<void> {
    const { ip, cimServerPort } = await until(
      `${this.userName} can log in again`,
      async () => {
        const answer = await this.claim();
        return answer.code === "9000" ? answer.dataBody : null;
      },
      deadlineMs,
    );
    await this.connect(ip, cimServerPort);
    await this.ping();
  }

  claim(): Promise<V2Answer<{ ip: string; cimServerPort: number; httpPort: number }>> {
    return callV2(this.routeUrl, "/login", { userId: this.userId, userName: this.userName });
  }

  /** Connects and sends the login frame. */
  async connect(host: string, port: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect({ host, port }, resolve);
    socket.setNoDelay(true);
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("close", () => this.#ended());
    await promise;
    this.closed = false;
    this.serverPort = port;
    this.#rest = new Uint8Array();
    this.#socket = socket;
    this.write({ cmd: V2_COMMAND.LOGIN_REQUEST, requestId: this.userId, reqMsg: this.userName });
  }

  /** Resolves with the pong. */
  async ping(): Promise<void> {
    const before = this.pongs;
    this.write({ cmd: V2_COMMAND.PING, requestId: this.userId, reqMsg: "ping" });
    await this.#until(`a pong for ${this.userName}`, () => this.pongs > before);
  }

  sendP2P(receiveUserId: number, msg: string): Promise<V2Answer<null>> {
    return callV2(this.routeUrl, "/p2pRoute", { userId: this.userId, receiveUserId, msg });
  }

  sendBatch(receiveUserId: number, batchMsg: string[]): Promise<V2Answer<null>> {
    return callV2(this.routeUrl, "/p2pRoute", { userId: this.userId, receiveUserId, batchMsg });
  }

  sendGroup(msg: string): Promise<V2Answer<null>> {
    return callV2(this.routeUrl, "/groupRoute", { userId: this.userId, msg });
  }

  fetchOfflineMsgs(): Promise<V2Answer<null>> {
    return callV2(this.routeUrl, "/fetchOfflineMsgs", { receiveUserId: this.userId });
  }

  offLine(): Promise<V2Answer<null>> {
    return callV2(this.routeUrl, "/offLine", { userId: this.userId, msg: "offLine" });
  }

  onlineUsers(): Promise<V2Answer<{ userId: number; userName: string }[]>> {
    return callV2(this.routeUrl, "/onlineUser");
  }

  /** Resolves once this many messages were received in all; answers their texts. */
  async texts(count: number): Promise<string[]> {
    await this.#until(`${count} messages for ${this.userName}`, () => this.received.length >= count);
    return this.received.map((message) => message.text);
  }

  /** Resolves once the server has closed the connection. */
  async ended(): Promise<void> {
    await this.#until(`the end of ${this.userName}'s connection`, () => this.closed);
  }

  write(frame: Parameters<typeof encodeV2>[0]): void {
    this.writeBytes(encodeV2(frame));
  }

  writeBytes(bytes: Uint8Array): void {
    this.#socket?.write(bytes);
  }

  /** Reads nothing more, so that the kernel's buffers fill. */
  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** The process is gone: no word to anyone. Resolves when its kernel has said so. */
  async vanish(): Promise<void> {
    const socket = this.#socket;
    if (!socket || this.closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("close", () => resolve());
    socket.resetAndDestroy();
    await promise;
  }

  /** Logs off and closes, as CIM v2's close() does. @throws when something arrived that a Java peer fails at */
  async close(): Promise<void> {
    if (!this.closed) await this.offLine();
    this.#socket?.destroy();
    if (this.faults.length > 0) throw new Error(`${this.userName}: ${this.faults.join("; ")}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #take(chunk: Uint8Array): void {
    const { frames, rest } = cutV2(Buffer.concat([this.#rest, chunk]));
    this.#rest = rest;
    for (const frame of frames) this.#frame(frame);
    this.#wake();
  }

  #frame(frame: V2Frame): void {
    this.frames.push(frame);
    if (frame.unknown.length > 0)
      this.faults.push(`field ${frame.unknown.join(", ")} in a frame of cmd ${frame.cmd}`);
    if (frame.cmd === V2_COMMAND.PING) {
      this.pongs++;
      return;
    }
    const { sendUserId, sendUserName, receiveUserId } = frame.properties;
    if (receiveUserId === undefined) {
      this.faults.push(`a frame of cmd ${frame.cmd} without receiveUserId`);
      return;
    }
    if (Number(receiveUserId) !== this.userId) {
      this.faults.push(`a message for ${receiveUserId}, who has no client here`);
      return;
    }
    const offline = frame.cmd === V2_COMMAND.OFFLINE;
    for (const text of frame.batchReqMsg.length > 0 ? frame.batchReqMsg : [frame.reqMsg]) {
      this.received.push({ text, sendUserId: sendUserId ?? "", sendUserName: sendUserName ?? "", offline });
    }
  }

  #ended(): void {
    this.closed = true;
    this.#wake();
    for (const waiter of this.#waiters.splice(0)) {
      waiter.reject(new Error(`the connection of ${this.userName} was closed`));
    }
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) if (waiter.enough()) waiter.resolve();
  }

  async #until(what: string, enough: () => boolean): Promise<void> {
    if (enough()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { enough, resolve, reject };
    const late = () =>
      reject(new Error(`no ${what} in ${WAIT_MS} ms; ${this.received.length} messages so far`));
    const timer = setTimeout(late, WAIT_MS);
    this.#waiters.push(waiter);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
    }
  }
}
