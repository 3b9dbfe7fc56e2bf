/** Users of a server that is about to be killed: are they offline in time, can they log in again? */
import { type Client, connect } from "../../client/sdk/client.ts";
import { until } from "../support/until.ts";
import type { Role, World } from "./world.ts";

const PASSWORD = "correct horse battery";
/** Logins are spread over the servers: after so many in vain something is wrong. */
const MAX_LOGINS = 30;
/** They do not come back by themselves in the time of a run. */
const NEVER_MS = 60 * 60 * 1000;

let count = 0;

export class UsersOf {
  private constructor(
    readonly world: World,
    /** Takes its session back with its token, and is then the one who looks at who is online. */
    readonly keeper: Client,
    /** Has only its password. */
    readonly stranger: Client,
  ) {}

  /** Logs in until two are on this very server. */
  static async find(world: World, server: Role): Promise<UsersOf> {
    const found: Client[] = [];
    for (let i = 0; i < MAX_LOGINS && found.length < 2; i++) {
      const client = await connect({
        routeUrl: world.routeUrl,
        userName: `probe${count++}`,
        password: PASSWORD,
        register: true,
        backoff: () => NEVER_MS,
      });
      if (client.server.httpPort === Number(new URL(server.url).port)) found.push(client);
      else await client.close();
    }
    if (found.length < 2) throw new Error(`of ${MAX_LOGINS} logins ${found.length} went to ${server.name}`);
    return new UsersOf(world, found[0]!, found[1]!);
  }

  /** To be called at the server's end; answers what does not hold. */
  async check(withinMs: number): Promise<string[]> {
    const problems = await Promise.all([this.#ownToken(), this.#newLogin(withinMs)]);
    await Promise.all([this.keeper.close(), this.stranger.close()]);
    return problems.filter((problem) => problem !== null);
  }

  /** Its first try is to succeed: nobody has to wait for anything. */
  async #ownToken(): Promise<string | null> {
    const code = await this.#login({ device: "default" }, this.keeper.token);
    return code === "9000"
      ? null
      : `a login with the device's own token after its server was killed: ${code}`;
  }

  async #newLogin(withinMs: number): Promise<string | null> {
    const { userName } = this.stranger;
    const deadline = performance.now() + withinMs;
    try {
      await until(`${userName} is offline`, async () => !(await this.#isOnline(userName)), withinMs);
      const left = deadline - performance.now();
      const login = async () => (await this.#login({ userName, password: PASSWORD })) === "9000";
      await until(`${userName} logs in anew`, login, Math.max(0, left));
      return null;
    } catch (error) {
      return `${withinMs} ms after its server was killed: ${(error as Error).message}`;
    }
  }

  async #login(body: object, token?: string): Promise<string> {
    const response = await fetch(`${this.world.routeUrl}/login`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
    return ((await response.json()) as { code: string }).code;
  }

  async #isOnline(userName: string): Promise<boolean> {
    for await (const user of this.keeper.onlineUsers({ prefix: userName })) {
      if (user.userName === userName) return true;
    }
    return false;
  }
}
