/** The jobs that each of the others does, and what is measured of them. */
import { remarkOn } from "./crowd.ts";
import { compile } from "./native.ts";
import type { Options } from "./options.ts";
import type { Broker } from "./others-brokers.ts";
import { Meter, Processes, residentBytesOf } from "./processes.ts";
import { median } from "./report.ts";
import type { Trial, Value } from "./scenario.ts";
import { Talker } from "./talker.ts";

/** There are many of them, and little to warm up: the parts of what was asked for that they take. */
export const PART_CHATTING = 1 / 2;
export const PART_WARMING_UP = 1 / 3;
export const PART_SETTLING = 1 / 4;
/** Messages to all, after one that warms up. */
export const TO_ALL = 5;
/** Logins under way. */
export const AT_A_TIME = 100;
/** Between messages to all. */
export const PAUSE_MS = 400;
const MICROSECONDS = 1e6;
/** So that those who chat are not those who were there before. */
const CHATTERS = 500_000;

/** What native/others.c answers; each answer has a part of it. */
interface Line {
  event: string;
  in: number;
  refused: number;
  seconds: number;
  accepted: number;
  delivered: number;
  deliveries: number;
  lastMs: number;
  processorSeconds: number;
  receipt: { p50Ms: number; p99Ms: number };
  delivery: { p50Ms: number; p99Ms: number };
}

async function startClients(
  processes: Processes,
  { name, protocol }: Broker,
  port: number,
  count: number,
  first = 0,
): Promise<Talker<Line>> {
  const options = [`protocol=${protocol}`, `port=${port}`, `count=${count}`, `first=${first}`];
  const clients = new Talker<Line>(processes, [compile("others"), ...options], `clients of ${name}`);
  await clients.hear("ready");
  return clients;
}

export async function trialOf(broker: Broker, connections: number, options: Options): Promise<Trial> {
  await using processes = new Processes();
  const { port, pid } = await broker.start(processes);
  const before = residentBytesOf(pid);
  const text = options.number("text");
  const idle = await startClients(processes, broker, port, connections);
  const joined = await idle.ask(`connect ${AT_A_TIME}`, "connected");
  await Bun.sleep(options.seconds * PART_SETTLING * 1000);
  const memory = (residentBytesOf(pid) - before) / connections;
  const said: number[] = [];
  for (let i = 0; broker.hasEveryone && i <= TO_ALL; i++) {
    said.push((await idle.ask(`say ${text}`, "said")).lastMs);
    await Bun.sleep(PAUSE_MS);
  }
  await idle.end();
  const chatters = await startClients(processes, broker, port, options.number("clients"), CHATTERS);
  await chatters.ask(`connect ${AT_A_TIME}`, "connected");
  const measuring = chatters.hear("measuring");
  const times = [options.warmUpSeconds * PART_WARMING_UP, options.seconds * PART_CHATTING];
  const milliseconds = times.map((seconds) => Math.round(seconds * 1000)).join(" ");
  const window = broker.window ?? options.number("window");
  const chatted = chatters.ask(`chat ${window} ${text} ${milliseconds}`, "chatted");
  await measuring;
  const meter = new Meter({ broker: pid });
  const chat = await chatted;
  const { user, system } = meter.spent().broker;
  return {
    values: [
      ...chatValues(chat, user + system),
      ...(broker.hasEveryone ? [toAll(said, connections)] : []),
      { name: "memory of a connection", unit: "bytes", value: memory },
      { name: "logins", unit: "logins/s", value: joined.in / joined.seconds },
    ],
    remarks: [
      ...remarkOn(chat.processorSeconds / chat.seconds),
      ...(joined.refused > 0 ? [`${joined.refused} of ${connections} connections were refused`] : []),
    ],
  };
}

export function chatValues(
  chat: Pick<Line, "seconds" | "accepted" | "delivered" | "receipt" | "delivery">,
  cores: number,
): Value[] {
  return [
    { name: "private: acknowledged", unit: "messages/s", value: chat.accepted / chat.seconds },
    { name: "private: delivered", unit: "messages/s", value: chat.delivered / chat.seconds },
    { name: "private: acknowledgement p50", unit: "ms", value: chat.receipt.p50Ms },
    { name: "private: acknowledgement p99", unit: "ms", value: chat.receipt.p99Ms },
    { name: "private: delivery p99", unit: "ms", value: chat.delivery.p99Ms },
    {
      name: "private: processor",
      unit: "µs/message",
      value: (cores * MICROSECONDS) / Math.max(1, chat.accepted),
    },
  ];
}

/** The first warms up. */
export function toAll([, ...lastMs]: number[], connections: number): Value {
  return { name: "to all: deliveries", unit: "deliveries/s", value: (connections * 1000) / median(lastMs) };
}
