/**
 * What one route counts, for Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/). Labels are names
 * of calls and codes: nothing from outside is one. Every message is counted, so it is numbers alone until it is read: a
 * library's counters, which hash their labels each time, took a tenth of a request.
 */

const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
/** Upper bounds of the histogram's buckets, in seconds; above the last there is +Inf. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** How often a call was answered. */
interface Answered {
  codes: Map<string, number>;
  /** One number for each bound and one for +Inf: those in between it and the bound before. */
  buckets: number[];
  seconds: number;
}

export class Metrics {
  readonly #servers: () => number;
  readonly #calls = new Map<string, Answered>();
  #items = 0;

  /** @param servers how many are alive, asked when the metrics are read */
  constructor(servers: () => number) {
    this.#servers = servers;
  }

  answered(call: string, code: string, milliseconds: number): void {
    let its = this.#calls.get(call);
    if (!its) {
      its = { codes: new Map(), buckets: Array(BOUNDS.length + 1).fill(0), seconds: 0 };
      this.#calls.set(call, its);
    }
    const seconds = milliseconds / 1000;
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > BOUNDS[bucket]!) bucket++;
    its.buckets[bucket]!++;
    its.seconds += seconds;
    its.codes.set(code, (its.codes.get(code) ?? 0) + 1);
  }

  uplinked(items: number): void {
    this.#items += items;
  }

  /** The metrics as text, and the type of that. */
  render(): { text: string; contentType: string } {
    const calls = [...this.#calls];
    const text = [
      ...family("cim_route_call_seconds", "histogram", "Time from a call's arrival to its answer"),
      ...calls.flatMap(([call, its]) => histogram("cim_route_call_seconds", call, its)),
      ...family("cim_route_calls_total", "counter", "Calls answered, by the code of the answer"),
      ...calls.flatMap(([call, { codes }]) =>
        Array.from(codes, ([code, count]) => `cim_route_calls_total{call="${call}",code="${code}"} ${count}`),
      ),
      ...family("cim_route_uplink_items_total", "counter", "What servers handed on from their clients"),
      `cim_route_uplink_items_total ${this.#items}`,
      ...family("cim_route_servers", "gauge", "Servers that are alive"),
      `cim_route_servers ${this.#servers()}`,
    ];
    return { text: `${text.join("\n")}\n`, contentType: CONTENT_TYPE };
  }
}

function family(name: string, type: "histogram" | "counter" | "gauge", help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function histogram(name: string, call: string, { buckets, seconds }: Answered): string[] {
  let count = 0;
  const lines = buckets.map((its, i) => {
    count += its;
    return `${name}_bucket{le="${BOUNDS[i] ?? "+Inf"}",call="${call}"} ${count}`;
  });
  return [...lines, `${name}_sum{call="${call}"} ${seconds}`, `${name}_count{call="${call}"} ${count}`];
}
