/** What one route counts, for Prometheus. Labels are names of calls and codes: nothing from outside is one. */

type Prometheus = typeof import("prom-client");
type Collected = ReturnType<typeof collect>;

export class Metrics {
  readonly #servers: () => number;
  // The library takes longer to load than a route to start, so it is not loaded before there is something to count.
  #loading: Promise<Collected> | null = null;
  #collected: Collected | null = null;

  /** @param servers how many are alive, asked when the metrics are read */
  constructor(servers: () => number) {
    this.#servers = servers;
  }

  answered(call: string, code: string, milliseconds: number): void {
    this.#count(({ calls, seconds }) => {
      calls.inc({ call, code });
      seconds.observe({ call }, milliseconds / 1000);
    });
  }

  uplinked(items: number): void {
    this.#count((collected) => collected.items.inc(items));
  }

  /** The metrics as text, and the type of that. */
  async render(): Promise<{ text: string; contentType: string }> {
    const { registry } = await this.#load();
    return { text: await registry.metrics(), contentType: registry.contentType };
  }

  #count(how: (collected: Collected) => void): void {
    if (this.#collected) how(this.#collected);
    else void this.#load().then(how);
  }

  #load(): Promise<Collected> {
    this.#loading ??= import("prom-client").then((prometheus) => {
      this.#collected = collect(prometheus, this.#servers);
      return this.#collected;
    });
    return this.#loading;
  }
}

function collect({ Counter, Gauge, Histogram, Registry }: Prometheus, servers: () => number) {
  const registry = new Registry();
  const registers = [registry];
  const seconds = new Histogram({
    name: "cim_route_call_seconds",
    help: "Time from a call's arrival to its answer",
    labelNames: ["call"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  const calls = new Counter({
    name: "cim_route_calls_total",
    help: "Calls answered, by the code of the answer",
    labelNames: ["call", "code"],
    registers,
  });
  const items = new Counter({
    name: "cim_route_uplink_items_total",
    help: "What servers handed on from their clients",
    registers,
  });
  new Gauge({
    name: "cim_route_servers",
    help: "Servers that are alive",
    registers,
    collect() {
      this.set(servers());
    },
  });
  return { registry, seconds, calls, items };
}
