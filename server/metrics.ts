/** What is counted, for Prometheus. Each server has a registry of its own, so that several run in one process. */
import type { Capacity } from "./capacity.ts";
import type { Lanes } from "./lanes.ts";
import type { Meters } from "./meters.ts";
import type { Sessions } from "./sessions.ts";

export interface Measured {
  meters: Meters;
  capacity: Capacity;
  sessions: Sessions;
  uplink: Lanes;
}

/** Answers GET /metrics. The library, which takes longer to load than a server to start, is loaded at the first. */
export function metricsPage(measured: Measured): () => Promise<Response> {
  let page: Promise<() => Promise<Response>> | null = null;
  return async () => {
    page ??= import("prom-client").then((prometheus) => collect(prometheus, measured));
    return (await page)();
  };
}

function collect(
  { Counter, Gauge, Registry }: typeof import("prom-client"),
  { meters, capacity, sessions, uplink }: Measured,
): () => Promise<Response> {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  const counter = (name: string, help: string, value: () => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  gauge("cim_connections", "Open connections, logged in or not", () => capacity.open);
  gauge("cim_sessions", "Sessions with a connection", () => sessions.size);
  counter("cim_logins_total", "Logins accepted", () => meters.logins);
  counter("cim_frames_received_total", "Frames from clients", () => meters.framesIn);
  counter("cim_received_bytes_total", "Bytes from clients", () => meters.bytesIn);
  counter("cim_sent_bytes_total", "Bytes to clients", () => meters.bytesOut);
  counter("cim_writes_total", "Writes to sockets, each of one or many frames", () => meters.writes);
  counter("cim_pushes_total", "Messages written for a receiver", () => meters.pushes);
  counter(
    "cim_pushes_left_out_total",
    "Messages not pushed as the receiver fell behind",
    () => meters.pushesLeftOut,
  );
  counter(
    "cim_downlink_calls_total",
    "Calls of routes, each of one or many messages",
    () => meters.downlinks,
  );
  counter("cim_uplink_calls_total", "Calls to the route", () => uplink.calls.made);
  counter("cim_uplink_calls_failed_total", "Calls to the route that failed", () => uplink.calls.failed);
  new Counter({
    name: "cim_connections_ended_total",
    help: "Connections the server ended, by the reason it told; none for those that are told nothing",
    labelNames: ["reason"],
    registers,
    collect() {
      this.reset();
      for (const [reason, count] of meters.ended) this.inc({ reason: reason || "none" }, count);
    },
  });
  return async () =>
    new Response(await registry.metrics(), { headers: { "content-type": registry.contentType } });
}
