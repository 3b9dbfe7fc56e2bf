import { expect, test } from "bun:test";
import { OpenRoute, PASSWORD } from "./open-route.ts";

test("/health is 200 while the route can serve, and 503 with what is missing in words while it cannot", async () => {
  await using route = await OpenRoute.start();
  const ask = async () => {
    const response = await route.fetch("/health");
    return [response.status, await response.json()];
  };
  const before = await ask();
  route.store.trouble = () => "cannot write cim.db: disk full";
  const during = await ask();
  route.store.trouble = () => null;
  expect([before, during, await ask()]).toEqual([
    [200, { status: "ok", troubles: [] }],
    [503, { status: "trouble", troubles: ["cannot write cim.db: disk full"] }],
    [200, { status: "ok", troubles: [] }],
  ]);
});

test("/metrics counts calls by their code, in a registry of this route's own", async () => {
  await using idle = await OpenRoute.start();
  await using route = await OpenRoute.start();
  await route.online("ann");
  await route.post("/login", { userName: "ann", password: PASSWORD });
  await route.fetch("/not/there");
  const counted = async (of: OpenRoute) =>
    (await (await of.fetch("/metrics")).text())
      .split("\n")
      .filter((line) => /^cim_route_(calls|uplink|servers)/.test(line));
  expect([await counted(idle), await counted(route)]).toEqual([
    ["cim_route_uplink_items_total 0", "cim_route_servers 1"],
    [
      'cim_route_calls_total{call="registerAccount",code="9000"} 1',
      'cim_route_calls_total{call="login",code="9000"} 1',
      'cim_route_calls_total{call="login",code="5000"} 1',
      'cim_route_calls_total{call="uplink",code="9000"} 1',
      'cim_route_calls_total{call="other",code="3000"} 1',
      "cim_route_uplink_items_total 1",
      "cim_route_servers 1",
    ],
  ]);
});
