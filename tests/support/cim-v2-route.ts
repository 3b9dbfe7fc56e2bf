/** What a route of CIM v2 does to a server: it pushes one message, or a batch, to one user. */
import { callV2, type V2Answer } from "./cim-v2-http.ts";

export interface V2Push {
  /** The receiver. */
  userId: number;
  msg?: string;
  batchMsg?: string[];
  sendUserId: number;
  sendUserName: string;
  /** MESSAGE, or OFFLINE for what was kept. */
  cmd?: "MESSAGE" | "OFFLINE";
}

/** `serverUrl` is the server's HTTP port. */
export function pushV2(serverUrl: string, push: V2Push): Promise<V2Answer<{ msg: string } | null>> {
  const { userId, msg, batchMsg, cmd = "MESSAGE" } = push;
  const properties = {
    sendUserId: String(push.sendUserId),
    sendUserName: push.sendUserName,
    receiveUserId: String(userId),
  };
  return callV2(serverUrl, "/sendMsg", { msg, batchMsg, userId, cmd, properties });
}

interface V2Login {
  userId: number;
  userName: string;
}

/** Splits a node's name at its colons, as CIM v2 does. */
function placeOf(name: string): { ip: string; cimServerPort: number; httpPort: number } {
  const [ip, cimServerPort, httpPort, ...more] = name.split(":");
  if (!ip || !Number(cimServerPort) || !Number(httpPort) || more.length > 0)
    throw new Error(`server ${name}`);
  return { ip, cimServerPort: Number(cimServerPort), httpPort: Number(httpPort) };
}

/** A route as CIM v2's, written from its description alone, in memory. Shares no code with the product. */
export class CimV2Route implements AsyncDisposable {
  /** Users it was told are gone, in order. */
  readonly toldOffLine: number[] = [];
  readonly #names: string[] = [];
  readonly #places = new Map<number, string>();
  readonly #kept = new Map<number, { from: number; msg: string }[]>();
  readonly #http: Bun.Server<undefined>;
  #turn = 0;

  /** @param servers the names of the nodes under /cim */
  constructor(
    readonly servers: () => string[] | Promise<string[]>,
    port = 0,
  ) {
    this.#http = Bun.serve({ hostname: "127.0.0.1", port, fetch: (request) => this.#answer(request) });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#http.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname: path } = new URL(request.url);
    const call = this.#calls[`${request.method} ${path}`];
    if (!call)
      return Response.json({ timestamp: "now", status: 404, error: "Not Found", path }, { status: 404 });
    const [code, dataBody] = await call(request.method === "POST" ? await request.json() : {});
    return Response.json({ code, message: code === "9000" ? "Success" : "no", reqNo: null, dataBody });
  }

  // biome-ignore lint/suspicious/noExplicitAny: each call takes what it takes
  readonly #calls: Record<string, (body: any) => Promise<[code: string, dataBody: unknown]>> = {
    "POST /registerAccount": async ({ userName }: V2Login) => {
      const known = this.#names.indexOf(userName) + 1;
      return ["9000", { userId: known || this.#names.push(userName), userName }];
    },
    "POST /login": async ({ userId, userName }: V2Login) => {
      if (this.#names[userId - 1] !== userName) return ["9100", null];
      if (this.#places.has(userId)) return ["5000", null];
      const servers = await this.servers();
      const server = servers[this.#turn++ % servers.length];
      if (!server) return ["7100", null];
      this.#places.set(userId, server);
      return ["9000", placeOf(server)];
    },
    "POST /offLine": async ({ userId }: V2Login) => {
      this.toldOffLine.push(userId);
      this.#places.delete(userId);
      return ["9000", null];
    },
    "POST /p2pRoute": async ({ userId, receiveUserId, msg }) => {
      if (await this.#push(receiveUserId, userId, { msg }, "MESSAGE")) return ["9000", null];
      const kept = this.#kept.get(receiveUserId) ?? [];
      this.#kept.set(receiveUserId, [...kept, { from: userId, msg }]);
      return ["7000", null];
    },
    "POST /groupRoute": async ({ userId, msg }) => {
      for (const receiver of this.#places.keys())
        if (receiver !== userId) await this.#push(receiver, userId, { msg }, "MESSAGE");
      return ["9000", null];
    },
    "POST /fetchOfflineMsgs": async ({ receiveUserId }) => {
      const kept = this.#kept.get(receiveUserId) ?? [];
      const [first] = kept;
      if (first)
        await this.#push(receiveUserId, first.from, { batchMsg: kept.map(({ msg }) => msg) }, "OFFLINE");
      this.#kept.delete(receiveUserId);
      return ["9000", null];
    },
    "GET /onlineUser": async () => {
      const userIds = [...this.#places.keys()];
      return ["9000", userIds.map((userId) => ({ userId, userName: this.#names[userId - 1] }))];
    },
  };

  async #push(
    userId: number,
    from: number,
    content: Pick<V2Push, "msg" | "batchMsg">,
    cmd: V2Push["cmd"],
  ): Promise<boolean> {
    const server = this.#places.get(userId);
    if (server === undefined) return false;
    const { ip, httpPort } = placeOf(server);
    const sender = { sendUserId: from, sendUserName: this.#names[from - 1]! };
    const { code } = await pushV2(`http://${ip}:${httpPort}`, { userId, cmd, ...content, ...sender });
    return code === "9000";
  }
}
