import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** What one route counts, for Prometheus. Labels are names of calls and codes: nothing from outside is one. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #seconds = new Histogram({
    name: "cim_route_call_seconds",
    help: "Time from a call's arrival to its answer",
    labelNames: ["call"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [this.#registry],
  });
  readonly #calls = new Counter({
    name: "cim_route_calls_total",
    help: "Calls answered, by the code of the answer",
    labelNames: ["call", "code"],
    registers: [this.#registry],
  });
  readonly #items = new Counter({
    name: "cim_route_uplink_items_total",
    help: "What servers handed on from their clients",
    registers: [this.#registry],
  });

  /** @param servers how many are alive, asked when the metrics are read */
  constructor(servers: () => number) {
    new Gauge({
      name: "cim_route_servers",
      help: "Servers that are alive",
      registers: [this.#registry],
      collect() {
        this.set(servers());
      },
    });
  }

  answered(call: string, code: string, milliseconds: number): void {
    this.#calls.inc({ call, code });
    this.#seconds.observe({ call }, milliseconds / 1000);
  }

  uplinked(items: number): void {
    this.#items.inc(items);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  render(): Promise<string> {
    return this.#registry.metrics();
  }
}
