/** A process near its limit of open files refuses newcomers, and serves those it has. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { Client } from "../../client/sdk/client.ts";
import { Tokens } from "../../common/token.ts";
import { Wire } from "../server/wire.ts";
import { join, PASSWORD, Reader } from "../support/chat.ts";
import { PROCESS_TEST_MS } from "../support/process.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { type Part, System } from "../support/system.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const LIMIT = 300;
/** What a server makes of that. */
const CONNECTIONS = 150;
const SECRET = "0123456789abcdef";
const ENV = { CIM_SECRET: SECRET, CIM_LOG: "silent" };
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test("a full server says so to newcomers, is picked no more, and serves those it has", async () => {
  const system = await prepared(2);
  const [small, large] = system.servers as [Part, Part];
  small.openFiles = LIMIT;
  await Promise.all([system.route.start(), small.start()]);
  const first = new Reader(await member(system, "first"));
  // A token for a place that is gone when its bearer comes.
  const late = await login(system, "late");
  const { bootId } = JSON.parse(Buffer.from(late.split(".")[1]!, "base64url").toString()) as {
    bootId: string;
  };
  const there = await fill(system, bootId);
  await large.start();

  const wire = await wired(system, late);
  expect(await wire.goodbye()).toEqual({
    reason: "full",
    text: `${CONNECTIONS} connections, which is the limit`,
  });
  const others = await Promise.all(["a", "b", "c", "d", "e", "f"].map((name) => member(system, name)));
  expect(others.map(({ server }) => server.port)).toEqual(others.map(() => system.serverPorts[1]!.tcp));
  await others[0]!.sendAll("is everyone here?");
  const heard = await Promise.all(there.map(async (one) => (await one.message()).seq));
  expect([await first.count(1), new Set(heard)]).toEqual([["is everyone here?"], new Set([1n])]);
  // It knocks in vain; what the process may open is not used up by it.
  const crowd = await flood(system.serverPorts[0]!.tcp, 2 * LIMIT);
  // Let in and closed again, or, while the door is shut, not let in at all.
  const turnedAway = () => crowd.length < 2 * LIMIT || crowd.some(({ closed }) => closed);
  await until("some of the crowd are sent away", turnedAway);
  expect(openFiles(small)).toBeLessThan(LIMIT);
  await others[0]!.sendTo(first.client.userId, "and now?");
  expect(await first.count(2)).toEqual(["is everyone here?", "and now?"]);
});

for (const part of ["route", "server"] as const) {
  test(`a ${part} whose HTTP port is flooded refuses at its limit, is back when there is room, and loses nothing`, async () => {
    const system = await prepared(1);
    const flooded = part === "route" ? system.route : system.servers[0]!;
    flooded.openFiles = LIMIT;
    await system.route.start();
    await system.servers[0]!.start();
    const [ann, bob] = await Promise.all(["ann", "bob"].map((name) => member(system, name)));
    const reader = new Reader(bob!);
    const port = Number(new URL(part === "route" ? system.routeUrl : system.serverUrl).port);
    const crowd = await flood(port, 2 * LIMIT);
    await until("newcomers are refused", () => isRefused(port));
    expect(openFiles(flooded)).toBeLessThan(LIMIT);
    const sent = ann!.sendTo(bob!.userId, "over a connection that was there before");
    for (const one of crowd) one.destroy();
    await until("it is back", async () => (await fetch(`http://127.0.0.1:${port}/health`)).ok);
    await sent;
    expect(await reader.count(1)).toEqual(["over a connection that was there before"]);
  });
}

async function prepared(servers: number): Promise<System> {
  const system = await System.prepare({ servers, env: ENV });
  cleanups.push(() => system.end());
  return system;
}

async function member(system: System, userName: string): Promise<Client> {
  const client = await join(system, userName);
  cleanups.push(() => client.detach());
  return client;
}

/** Registers, logs in over HTTP, and answers the token. */
async function login(system: System, userName: string): Promise<string> {
  const post = async (call: string) => {
    const body = JSON.stringify({ userName, password: PASSWORD });
    const headers = { "content-type": "application/json" };
    return (await fetch(`${system.routeUrl}/${call}`, { method: "POST", headers, body })).json();
  };
  await post("registerAccount");
  return ((await post("login")) as { dataBody: { token: string } }).dataBody.token;
}

/** Logs users in on the first server until it is full; one is there already. */
async function fill(system: System, bootId: string): Promise<Wire[]> {
  const tokens = new Tokens(SECRET);
  const now = Date.now();
  const wires: Wire[] = [];
  for (let userId = 1001; wires.length < CONNECTIONS - 1; userId++) {
    const session = { userId, userName: `user ${userId}`, sessionId: `session-${userId}`, device: "" };
    const times = { issuedAt: now, expiresAt: now + PROCESS_TEST_MS };
    const wire = await wired(system, await tokens.sign({ kind: "session", ...session, bootId, ...times }));
    await wire.body("welcome");
    wires.push(wire);
  }
  await until("all are logged in", async () => {
    const metrics = await (await fetch(`${system.serverUrl}/metrics`)).text();
    return metrics.includes(`\ncim_sessions ${CONNECTIONS}\n`);
  });
  return wires;
}

async function wired(system: System, token: string): Promise<Wire> {
  const wire = await Wire.connect(system.serverPorts[0]!.tcp);
  cleanups.push(() => wire.drop());
  wire.login(token);
  return wire;
}

/** Connections that say nothing, as many of these as are let in. */
async function flood(port: number, count: number): Promise<RawConnection[]> {
  const opened = await Promise.allSettled(Array.from({ length: count }, () => RawConnection.open(port)));
  const crowd = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  cleanups.push(() => {
    for (const one of crowd) one.destroy();
  });
  return crowd;
}

function isRefused(port: number): Promise<boolean> {
  return RawConnection.open(port).then(
    (connection) => {
      connection.destroy();
      return false;
    },
    (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED",
  );
}

function openFiles(part: Part): number {
  return readdirSync(`/proc/${part.process.pid}/fd`).length;
}
