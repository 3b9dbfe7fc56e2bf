import { expect, test } from "bun:test";
import { Metrics } from "../../route/metrics.ts";

test("the metrics are in Prometheus' text format, with buckets that count what is at most as long", () => {
  const metrics = new Metrics(() => 2);
  for (const milliseconds of [0.5, 1, 1.5, 700, 9999]) metrics.answered("login", "9000", milliseconds);
  metrics.answered("login", "5000", 1);
  metrics.uplinked(3);
  metrics.uplinked(4);
  const { text, contentType } = metrics.render();
  expect(contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(text).toBe(`# HELP cim_route_call_seconds Time from a call's arrival to its answer
# TYPE cim_route_call_seconds histogram
cim_route_call_seconds_bucket{le="0.001",call="login"} 3
cim_route_call_seconds_bucket{le="0.0025",call="login"} 4
cim_route_call_seconds_bucket{le="0.005",call="login"} 4
cim_route_call_seconds_bucket{le="0.01",call="login"} 4
cim_route_call_seconds_bucket{le="0.025",call="login"} 4
cim_route_call_seconds_bucket{le="0.05",call="login"} 4
cim_route_call_seconds_bucket{le="0.1",call="login"} 4
cim_route_call_seconds_bucket{le="0.25",call="login"} 4
cim_route_call_seconds_bucket{le="0.5",call="login"} 4
cim_route_call_seconds_bucket{le="1",call="login"} 5
cim_route_call_seconds_bucket{le="2.5",call="login"} 5
cim_route_call_seconds_bucket{le="5",call="login"} 5
cim_route_call_seconds_bucket{le="+Inf",call="login"} 6
cim_route_call_seconds_sum{call="login"} 10.703
cim_route_call_seconds_count{call="login"} 6
# HELP cim_route_calls_total Calls answered, by the code of the answer
# TYPE cim_route_calls_total counter
cim_route_calls_total{call="login",code="9000"} 5
cim_route_calls_total{call="login",code="5000"} 1
# HELP cim_route_uplink_items_total What servers handed on from their clients
# TYPE cim_route_uplink_items_total counter
cim_route_uplink_items_total 7
# HELP cim_route_servers Servers that are alive
# TYPE cim_route_servers gauge
cim_route_servers 2
`);
});
