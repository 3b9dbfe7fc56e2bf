/** The shipped deploy/nginx.conf, in a real nginx, before real routes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../support/ports.ts";
import { REPOSITORY, RunningProcess } from "../support/process.ts";
import { until } from "../support/until.ts";

const nginx = Bun.which("nginx", { PATH: `${process.env.PATH}:/usr/sbin` });
const START_MS = 15_000;

/** The shipped configuration on these ports, with all it writes kept in `directory`. */
async function configure(directory: string, ports: { clients: number; servers: number; routes: number[] }) {
  const written = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${directory}/${kind};`,
  );
  const shipped = await Bun.file(join(REPOSITORY, "deploy/nginx.conf")).text();
  const configuration = shipped
    .replace("http {", `http {\n  ${written.join("\n  ")}`)
    .replace("listen 8083", `listen 127.0.0.1:${ports.clients}`)
    .replace("listen 8084", `listen 127.0.0.1:${ports.servers}`)
    .replace("route-1:8083", `127.0.0.1:${ports.routes[0]}`)
    .replace("route-2:8083", `127.0.0.1:${ports.routes[1]}`);
  const file = join(directory, "nginx.conf");
  await Bun.write(file, configuration);
  const global = `daemon off; pid ${directory}/nginx.pid; error_log stderr;`;
  return [nginx!, "-e", "stderr", "-p", directory, "-c", file, "-g", global];
}

describe.skipIf(nginx === null)(nginx === null ? "no nginx here" : "behind nginx", () => {
  let directory: string;
  let clients: string;
  let servers: string;
  let proxy: RunningProcess;
  let command: string[];
  let routePorts: number[];
  const routes: RunningProcess[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "cim-nginx-"));
    const [clientsPort, serversPort, ...ports] = await freePorts(4);
    routePorts = ports;
    for (const port of routePorts) routes.push(startRoute(port));
    command = await configure(directory, {
      clients: clientsPort!,
      servers: serversPort!,
      routes: routePorts,
    });
    proxy = new RunningProcess(command);
    clients = `http://127.0.0.1:${clientsPort}`;
    servers = `http://127.0.0.1:${serversPort}`;
    for (const port of routePorts) await healthy(`http://127.0.0.1:${port}`);
    await healthy(clients);
  }, 2 * START_MS);

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all(routes.map((route) => route.kill()));
    await rm(directory, { recursive: true, force: true });
  });

  function startRoute(port: number): RunningProcess {
    const env = {
      CIM_ROUTE_PORT: String(port),
      CIM_STORE: "memory:",
      CIM_DATA: join(directory, String(port)),
      CIM_SECRET: "the-secret-of-this-test",
      CIM_TRUSTED_PROXIES: "1",
      CIM_LOG: "warn",
    };
    return new RunningProcess(["bun", "route/main.ts"], { env });
  }

  async function healthy(url: string): Promise<void> {
    await until(`${url} is healthy`, async () => (await fetch(`${url}/health`)).ok, START_MS);
  }

  async function status(url: string, init?: RequestInit): Promise<number> {
    const response = await fetch(url, init);
    await response.arrayBuffer();
    return response.status;
  }

  test("the shipped configuration is one that nginx takes", async () => {
    const check = new RunningProcess([...command, "-t"]);
    expect([await check.exited, check.output]).toEqual([0, expect.stringContaining("test is successful")]);
  });

  test("no request fails while one of two routes is killed and started again", async () => {
    const statuses = new Set<number>();
    const ask = async (times: number) => {
      for (let i = 0; i < times; i++) statuses.add(await status(`${clients}/health`));
    };
    await ask(10);
    await routes[0]!.kill();
    await ask(10);
    routes[0] = startRoute(routePorts[0]!);
    await healthy(`http://127.0.0.1:${routePorts[0]}`);
    await ask(10);
    expect([...statuses]).toEqual([200]);
  });

  test("clients come to the API, and not to what servers and operators have", async () => {
    const account = { userName: "zhangsan", password: "a password" };
    const register = {
      method: "POST",
      body: JSON.stringify(account),
      headers: { "content-type": "application/json" },
    };
    const answer = (await (await fetch(`${clients}/registerAccount`, register)).json()) as { code: string };
    const post = { method: "POST", body: "{}" };
    expect({
      register: answer.code,
      clients: await Promise.all(
        ["/internal/uplink", "/internal/", "/metrics", "//internal/uplink", "/x/../internal/uplink"].map(
          (path) => status(`${clients}${path}`, post),
        ),
      ),
      // Through to the route, which misses the proof of a server.
      uplink: await status(`${servers}/internal/uplink`, post),
      other: await status(`${servers}/registerAccount`, post),
    }).toEqual({ register: "9000", clients: [404, 404, 404, 404, 404], uplink: 401, other: 404 });
  });

  test("a body over the limit is refused before it reaches a route", async () => {
    const body = new Uint8Array(1024 * 1024 + 1);
    expect(await status(`${clients}/registerAccount`, { method: "POST", body })).toBe(413);
  });
});

test.skipIf(nginx === null)("the address a client claims to come from is not passed on", async () => {
  const directory = await mkdtemp(join(tmpdir(), "cim-nginx-"));
  const echo = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => new Response(request.headers.get("x-forwarded-for")),
  });
  const [clients, servers] = await freePorts(2);
  const proxy = new RunningProcess(
    await configure(directory, { clients: clients!, servers: servers!, routes: [echo.port!, echo.port!] }),
  );
  const headers = { "x-forwarded-for": "203.0.113.7, 10.0.0.1" };
  const seen = await until("nginx answers", async () =>
    (await fetch(`http://127.0.0.1:${clients}/`, { headers })).text(),
  );
  await proxy.stop();
  await echo.stop(true);
  await rm(directory, { recursive: true, force: true });
  expect(seen).toBe("127.0.0.1");
});
