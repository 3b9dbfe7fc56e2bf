/** What a user could run instead, as Debian ships it: how each is started, and what it says it promises. */
import { join } from "node:path";
import { createStream } from "./others-jetstream.ts";
import { spawn, startEjabberd } from "./others-start.ts";
import { freePort, type Processes } from "./processes.ts";

/** What is asked of each. */
export const PROMISES = {
  storedBeforeAcknowledged: "stored before acknowledged",
  survivesKill9: "survives kill -9",
  order: "order",
  exactlyOnce: "exactly once",
  history: "history",
};
export type Promises = Record<keyof typeof PROMISES, string>;

export interface Broker {
  name: string;
  /** The program, for whether it is there. */
  program: string;
  /** Which of native/others.c's. */
  protocol: "mqtt" | "nats" | "jetstream" | "xmpp";
  /** Whether one message goes to everyone. */
  hasEveryone: boolean;
  /** The most connections it is tried with; its logins are slow beyond. */
  maxConnections?: number;
  /** Messages each has under way; fewer where more would only make a queue longer than the measurement. */
  window?: number;
  settings: Record<string, string>;
  promises: Promises;
  start(processes: Processes): Promise<{ port: number; pid: number }>;
}

const mosquitto: Broker = {
  name: "mosquitto, QoS 1",
  program: "mosquitto",
  protocol: "mqtt",
  hasEveryone: true,
  settings: {
    persistence: "true",
    set_tcp_nodelay: "true",
    autosave_interval: "1800, the default",
    clean_session: "0",
    max_inflight_messages: "20, the default",
  },
  promises: {
    storedBeforeAcknowledged: "in memory; on disk every 30 minutes and at the end",
    survivesKill9: "what was saved last",
    order: "of one topic",
    exactlyOnce: "no (QoS 2 does, between two programs)",
    history: "no; the last message of a topic, and 1,000 for who is away",
  },
  async start(processes) {
    const port = await freePort();
    const config = join(processes.data, "mosquitto.conf");
    await Bun.write(
      config,
      [
        `listener ${port} 127.0.0.1`,
        "allow_anonymous true",
        "persistence true",
        `persistence_location ${processes.data}/`,
        "user root",
        `log_dest file ${processes.data}/mosquitto.log`,
        "set_tcp_nodelay true",
        "log_type error\n",
      ].join("\n"),
    );
    return spawn(processes, ["mosquitto", "-c", config], port);
  },
};

const nats: Broker = {
  name: "NATS",
  program: "nats-server",
  protocol: "nats",
  hasEveryone: true,
  settings: { acknowledgement: "+OK (verbose): the server has read it" },
  promises: {
    storedBeforeAcknowledged: "never stored",
    survivesKill9: "nothing",
    order: "of one sender",
    exactlyOnce: "no: at most once",
    history: "no",
  },
  async start(processes) {
    const port = await freePort();
    return spawn(
      processes,
      ["nats-server", "-a", "127.0.0.1", "-p", String(port), "-l", join(processes.data, "nats.log")],
      port,
    );
  },
};

const jetStream: Broker = {
  name: "NATS JetStream",
  program: "nats-server",
  protocol: "jetstream",
  hasEveryone: true,
  settings: {
    stream: "one for all subjects, storage file",
    acknowledgement: "of the stream",
    sync_interval: "2 minutes, the default",
    receivers: "subscribe to the subject, not to the stream: a consumer for each of them was not measured",
  },
  promises: {
    storedBeforeAcknowledged: "written to a file, synced every 2 minutes",
    survivesKill9: "yes; not the machine's end",
    order: "of the stream",
    exactlyOnce: "ids are compared for 2 minutes",
    history: "yes",
  },
  async start(processes) {
    const port = await freePort();
    const place = ["-a", "127.0.0.1", "-p", String(port), "-l", join(processes.data, "nats.log")];
    const started = await spawn(processes, ["nats-server", ...place, "-js", "-sd", processes.data], port);
    await createStream(port, { name: "BENCH", subjects: ["u.>", "all"], storage: "file" });
    return started;
  },
};

const ejabberd: Broker = {
  name: "ejabberd",
  program: "ejabberdctl",
  protocol: "xmpp",
  hasEveryone: false,
  maxConnections: 1000,
  window: 1,
  settings: {
    acknowledgement: "of the stream (XEP-0198)",
    mod_mam: "off",
    mod_offline: "on",
    accounts: "internal, registered by the clients as they come, which their logins have in them",
    toEveryone: "not measured: a room of so many is another thing",
  },
  promises: {
    storedBeforeAcknowledged: "only for who is away",
    survivesKill9: "what was stored for who is away",
    order: "of one pair",
    exactlyOnce: "no",
    history: "no",
  },
  start: (processes) => startEjabberd(processes, []),
};

const ejabberdArchive: Broker = {
  ...ejabberd,
  name: "ejabberd with its archive",
  settings: { ...ejabberd.settings, mod_mam: "on, default always, in Mnesia: as Debian ships it" },
  promises: {
    ...ejabberd.promises,
    storedBeforeAcknowledged: "in the archive, not waited for",
    survivesKill9: "what Mnesia had written",
    history: "yes",
  },
  start: (processes) => startEjabberd(processes, ["  mod_mam:", "    default: always"]),
};

export const BROKERS: readonly Broker[] = [mosquitto, nats, jetStream, ejabberd, ejabberdArchive];
