/** cim-server: holds the connections of clients, knows who is on which, and nothing else. */

import type { Config } from "../common/config.ts";
import type { Link } from "../common/link.ts";
import type { Logger } from "../common/logger.ts";
import { addressOf, type Registrar, type ServerInstance } from "../common/registry/registry.ts";
import type { Tokens } from "../common/token.ts";
import { Wheel } from "../common/wheel.ts";
import { version } from "../package.json" with { type: "json" };
import { findAdvertised } from "./advertise.ts";
import { Capacity, roomFor } from "./capacity.ts";
import { Collector } from "./collector.ts";
import { Connection } from "./connection.ts";
import { Fanout, SLICE } from "./fanout.ts";
import { httpHandler } from "./http.ts";
import { Lanes } from "./lanes.ts";
import { type Listening, listen } from "./listen.ts";
import { login } from "./login.ts";
import { LookAgain } from "./look-again.ts";
import { Meters } from "./meters.ts";
import { metricsPage } from "./metrics.ts";
import type { Parts } from "./party.ts";
import { Rest } from "./rest.ts";
import { Sessions } from "./sessions.ts";

import { V2Route } from "./v2-route.ts";

export interface ServerOptions {
  config: Config;
  tokens: Tokens;
  link: Link;
  registrar: Registrar;
  log: Logger;
  /** Has the whole process stand still. Left out where it has more to do than to be a server. */
  sleep?: (ms: number) => void;
}

export interface Server {
  instance(): ServerInstance;
  /** Whether whoever logs in is believed, since the route is one of CIM v2. */
  believes(): boolean;
  /** The HTTP side, without a socket. */
  fetch(request: Request): Promise<Response>;
  /** Drains: nobody new, everyone told to come back elsewhere, what the route is to know handed over. */
  close(): Promise<void>;
}

/** How long the start waits to be announced; the server serves in any case, and goes on trying. */
const ANNOUNCE_MS = 3 * 1000;
/** How often a server under a route of CIM v2 looks whether one of ours has taken its place. */
const LOOK_EVERY_MS = 5 * 1000;
const DRAIN_MS = 3 * 1000;
/** Clients of a server that stops come back spread over this much for each of them, and at most so much. */
const RETURN_MS_PER_CLIENT = 0.5;
const MAX_RETURN_MS = 3 * 1000;

/** @throws ConfigError for a setting that cannot be used: a port that is taken, an address that is not ours */
export async function openServer(options: ServerOptions): Promise<Server> {
  const { config, tokens, link, registrar, log, sleep } = options;
  const host = await findAdvertised(config);
  const bootId = crypto.getRandomValues(new Uint8Array(16)).toHex();
  const wheel = new Wheel();
  const capacity = new Capacity({ ...roomFor(), perAddress: config.maxConnectionsPerAddress });
  const sessions = new Sessions();
  const fanout = new Fanout(sessions);
  const again = new LookAgain(sessions);
  const lookAgain = (everything: boolean) => again.start(everything);
  const meters = new Meters();
  const rest = sleep ? new Rest(meters, wheel.now, sleep) : null;
  const collector = new Collector(() => Bun.gc(true));

  let announced = false;
  let draining: Promise<void> | null = null;
  const missing = () => {
    if (draining) return "the server is draining";
    return registrar.trouble() ?? (announced ? null : "the server is not announced yet");
  };
  const beats = new Set<() => void>();
  // Nothing of this is called before the next turn of the event loop, when all of it is there.
  const listening = listen(config, {
    connect(socket, address) {
      const place = capacity.enter(address);
      return place && new Connection(parts, socket, place);
    },
    fetch: (request) => fetch(request),
    log,
    every(beat) {
      beats.add(beat);
      return () => beats.delete(beat);
    },
  });
  const { port, httpPort } = listening;
  const server = addressOf({ host, port, httpPort });
  const { routeUrl } = config;
  const ask = (body: Uint8Array<ArrayBuffer>) => link.post(`${routeUrl}/internal/uplink`, body);
  const isHere = (userId: number) => sessions.ofUser(userId).length > 0;
  const replaced = () => lookAgain(true);
  const v2Route =
    config.auth === "open"
      ? new V2Route({ routeUrl, bootId, post: ask, fetch: link.fetch, isHere, replaced, log })
      : null;
  const post = (body: Uint8Array<ArrayBuffer>) => v2Route?.call(body) ?? ask(body);
  const uplink = new Lanes({
    post,
    server,
    bootId,
    log,
    clock: () => performance.now(),
    busy: () => fanout.busy,
  });
  const newcomers = new Set<Connection>();
  const parts: Parts = {
    config,
    bootId,
    tokens,
    sessions,
    newcomers,
    capacity,
    uplink,
    wheel,
    meters,
    rest,
    log,
    login,
  };
  const metrics = metricsPage({ meters, capacity, sessions, uplink });
  const fetch = httpHandler({ config, link, sessions, fanout, meters, lookAgain, log, missing, metrics });

  // One timer for everything: an idle process wakes up for nothing else.
  const timer = setInterval(() => {
    for (const beat of beats) beat();
    wheel.advance();
    uplink.tick();
    collector.tick(meters.logins, wheel.now);
    rest?.look(wheel.now);
  }, wheel.tickMs);
  const lookout = setInterval(() => {
    if (v2Route?.believes) void v2Route.look();
  }, LOOK_EVERY_MS);
  const tls = config.tlsCert !== "";
  const webSocketUrl =
    config.websocketUrl.replace("{host}", host).replace("{port}", String(httpPort)) || undefined;
  const instance = () => {
    const { open: connections, full } = capacity;
    return { host, port, httpPort, bootId, tls, version, connections, full, webSocketUrl };
  };
  const announcing = registrar
    .announce(instance, () => lookAgain(true))
    .then(
      () => {
        announced = true;
      },
      (error) => log.error({ error: String(error) }, "the server cannot be announced"),
    );
  await within(ANNOUNCE_MS, Promise.all([announcing, v2Route?.look()]));
  return {
    instance,
    believes: () => v2Route?.believes ?? false,
    fetch,
    close() {
      draining ??= drain({ registrar, listening, parts }).finally(() => {
        clearInterval(timer);
        clearInterval(lookout);
      });
      return draining;
    },
  };
}

interface Drained {
  registrar: Registrar;
  listening: Listening;
  parts: Parts;
}

async function drain({ registrar, listening, parts }: Drained): Promise<void> {
  const { capacity, sessions, newcomers, uplink, log } = parts;
  log.info({ sessions: sessions.size }, "draining");
  capacity.closed = true;
  listening.stopAccepting();
  // First nobody is sent here any more, then those who are here are sent away.
  await within(DRAIN_MS, registrar.leave());
  for (const newcomer of newcomers) newcomer.end("shutdown");
  await sayGoodbye(sessions);
  await Promise.all([uplink.close(DRAIN_MS), within(DRAIN_MS, capacity.emptied())]);
  await listening.close();
}

async function sayGoodbye(sessions: Sessions): Promise<void> {
  const spread = Math.min(MAX_RETURN_MS, sessions.size * RETURN_MS_PER_CLIENT);
  let count = 0;
  for (const connection of sessions.all()) {
    connection.end("shutdown", undefined, Math.floor(Math.random() * spread));
    if (++count % SLICE === 0) await new Promise(setImmediate);
  }
}

/** Waits for what must not hold up the end. */
async function within(ms: number, what: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([what.catch(() => undefined), promise]);
  clearTimeout(timer);
}
