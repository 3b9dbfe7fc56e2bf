/** The route: everything wired together, from a request to its answer. */
import type { Config } from "../common/config.ts";
import type { Link } from "../common/link.ts";
import type { Logger } from "../common/logger.ts";
import type { Directory } from "../common/registry/registry.ts";
import type { Leases } from "../common/registry/route.ts";
import type { Tokens } from "../common/token.ts";
import { Accept } from "./accept.ts";
import { createApp } from "./app.ts";
import { Callers } from "./caller.ts";
import { calls } from "./calls.ts";
import { Deliver } from "./deliver.ts";
import type { Assets } from "./docs.ts";
import type { Downloads } from "./downloads.ts";
import { Guesses } from "./guesses.ts";
import { internalCalls } from "./internal.ts";
import { Leaving } from "./leaving.ts";
import { Login } from "./login.ts";
import { Metrics } from "./metrics.ts";
import { connectedAmong, Online } from "./online.ts";
import type { Page } from "./page.ts";
import { PasswordChange } from "./password-change.ts";
import { PasswordDesk, type Passwords } from "./passwords.ts";
import { Presence } from "./presence.ts";
import { RateLimit } from "./rate-limit.ts";
import { Retention } from "./retention.ts";
import { Servers } from "./servers.ts";
import type { Store } from "./store/store.ts";
import { SyncPages } from "./sync.ts";
import { Uplinks } from "./uplink.ts";
import { V2Reader } from "./v2-reader.ts";
import { V2Servers } from "./v2-servers.ts";

export interface RouteOptions {
  config: Config;
  /** Closed by who opened it, after the route. */
  store: Store;
  directory: Directory;
  /** The same as `directory` where the route keeps the servers itself, else null. */
  leases: Leases | null;
  tokens: Tokens;
  link: Link;
  passwords: Passwords;
  assets: Assets;
  /** The chat's page, loaded when it is first asked for. Default: none. */
  page?: () => Promise<Page>;
  /** The compiled clients. Default: none. */
  downloads?: Downloads;
  log: Logger;
}

export interface Route {
  /** @param client who called, for limits per address; left out, none applies */
  fetch(request: Request, client?: { readonly address: string | undefined }): Promise<Response>;
  close(): Promise<void>;
}

export function openRoute(options: RouteOptions): Route {
  const { config, store, directory, leases, tokens, link, passwords, assets, page, log: logger } = options;
  const { accounts, sessions, cursors, log, throttle, locks } = store;
  const { auth, adminKey, tokenMs, loginPolicy: policy } = config;

  const servers = new Servers({ directory, link, pick: config.pick, logger });
  const callers = new Callers({ accounts, sessions, tokens, auth, adminKey });
  const online = new Online({ sessions, directory });
  const presence = new Presence({
    sessions,
    cursors,
    online,
    policy,
    close: (session, reason) => deliver.close(session, reason),
    doubt: (session) => deliver.doubt(session),
  });
  const leaving = new Leaving({
    sessions,
    cursors,
    knowsV2: () => servers.knowsV2,
    tokenMs,
    close: (session, reason) => deliver.close(session, reason),
  });
  const reader = new V2Reader({ servers, sessions, log, cursors, locks });
  const v2Servers = new V2Servers({ servers, sessions, reader, logger });
  const deliver = new Deliver({
    log,
    servers,
    v2Servers,
    connected: (userIds) => online.connected(userIds),
    policy,
    logger,
  });
  const rates = new RateLimit(config.maxMessagesPerSecond);
  const accept = new Accept({
    enter: async (drafts, userIds) => {
      const { places, sessions } = await store.enter(drafts, userIds);
      return { places, connected: sessions.then(connectedAmong) };
    },
    deliver,
    known: (userIds) => callers.known(userIds),
    rates,
  });
  const sync = new SyncPages(log, cursors);
  const uplinks = new Uplinks({ presence, leaving, accept, cursors, sync, logger });
  const retention = new Retention({ log, cursors, retentionMs: config.retentionMs, logger });
  const guesses = new Guesses(throttle, config.maxFailedLogins);
  const desk = new PasswordDesk(passwords);
  const login = new Login({ accounts, presence, servers, tokens, passwords: desk, guesses, auth, tokenMs });
  const passwordChange = new PasswordChange({ accounts, passwords: desk, guesses, leaving });
  const metrics = new Metrics(() => directory.servers().length);

  const app = createApp({
    config,
    calls: calls({ store, callers, login, passwordChange, online, leaving, accept, deliver }),
    internal: internalCalls({ link, servers, uplinks, leases, metrics }),
    callers,
    link,
    metrics,
    troubles: () => [store.trouble(), directory.trouble()].filter((trouble) => trouble !== null),
    assets,
    page: page ?? null,
    downloads: options.downloads ?? null,
    logger,
  });

  return {
    fetch: (request, client) => Promise.resolve(app.fetch(request, { client })),
    async close() {
      retention.stop();
      await deliver.stop();
      servers.close();
    },
  };
}
