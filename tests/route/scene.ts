/** Logins of one account on servers that come and go, over the embedded engine. */
import type { Config } from "../../common/config.ts";
import type { ServerInstance } from "../../common/registry/registry.ts";
import { Leaving } from "../../route/leaving.ts";
import { Online } from "../../route/online.ts";
import { type OwnSession, Presence } from "../../route/presence.ts";
import type { Session } from "../../route/store/sessions.ts";
import { openSqlite } from "../../route/store/sqlite.ts";
import type { Store } from "../../route/store/store.ts";

export const one = instance(1, "boot-1");
export const two = instance(2, "boot-2");

/** What happens around sessions: to be made anew for each test. */
export class Scene {
  readonly alice = { userId: 0, userName: "alice" };
  now = Date.now();
  /** Boot ids of servers that are gone. */
  readonly gone = new Set<string>();
  readonly closed: [string, string][] = [];
  readonly doubted: string[] = [];

  private constructor(readonly store: Store) {}

  static async make(): Promise<Scene> {
    const scene = new Scene(await openSqlite(":memory:"));
    scene.alice.userId = (await scene.store.accounts.register("alice", null)).account.userId;
    return scene;
  }

  open(policy: Config["loginPolicy"], knowsV2 = false) {
    const { sessions, cursors } = this.store;
    const now = () => this.now;
    const state = (_: string, bootId: string) => (this.gone.has(bootId) ? "gone" : "alive");
    const close = (session: Session, reason: string) => this.closed.push([session.sessionId, reason]);
    const doubt = (session: Session) => this.doubted.push(session.sessionId);
    const online = new Online({ sessions, directory: { state }, now });
    const presence = new Presence({ sessions, cursors, online, policy, close, doubt, now });
    const leaving = new Leaving({ sessions, cursors, knowsV2: () => knowsV2, tokenMs: 60_000, close, now });
    return { online, presence, leaving };
  }

  /** Alice's session on a server, with its connection. */
  async connected(
    presence: Presence,
    server: ServerInstance,
    device = "phone",
  ): Promise<Session & OwnSession> {
    const claim = await presence.claim(this.alice, device, server, null);
    await presence.confirm(claim);
    return { ...claim, confirmed: true };
  }
}

export function instance(n: number, bootId: string): ServerInstance {
  const ports = { port: 1000 + n, httpPort: 2000 + n };
  return { host: "127.0.0.1", ...ports, bootId, tls: false, version: "1", connections: 0, full: false };
}
