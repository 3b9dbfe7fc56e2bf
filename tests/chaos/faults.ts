/** What goes wrong in a run, one thing at a time. Each fault is over when everything is up again. */
import type { Crowds } from "./crowds.ts";
import { UsersOf } from "./presence.ts";
import type { Random } from "./random.ts";
import type { Role, World } from "./world.ts";
import { LEASE_SECONDS } from "./world.ts";

export interface Scene {
  world: World;
  crowds: Crowds;
  random: Random;
  /** Nothing else is broken, so that what is promised in time can be asked for. */
  strict: boolean;
  /** A process of ours did what it should not, or presence did not tell the truth. */
  blame: (kind: "process" | "presence", text: string) => void;
}

export interface Fault {
  name: string;
  hits: "servers" | "routes" | "redis" | "zookeeper" | "network" | "clients";
  /** Why it cannot be had here; null when it can. */
  impossible?(world: World): string | null;
  /** Resolves when what was broken is whole again; answers what exactly it did. */
  run(scene: Scene): Promise<string>;
}

const LEASE_MS = LEASE_SECONDS * 1000;

export const FAULTS: readonly Fault[] = [
  {
    name: "a server is killed",
    hits: "servers",
    async run({ world, random, strict, blame }) {
      const server = random.pick(world.servers);
      const users = strict ? await UsersOf.find(world, server) : null;
      // Back before its lease is over, or after.
      const downMs = random.between(0, 2 * LEASE_MS);
      await server.kill();
      const checked = users?.check(LEASE_MS + 1000);
      await Bun.sleep(downMs);
      await server.start();
      for (const text of (await checked) ?? []) blame("presence", text);
      return `${server.name}, down for ${downMs} ms`;
    },
  },
  {
    name: "a server is drained and replaced",
    hits: "servers",
    async run({ world, random, blame }) {
      const old = random.pick(world.servers);
      const replacement = await world.makeServer(world.isInside(old));
      const first = random.next() < 0.5;
      if (first) await replacement.start();
      await drained(old, blame);
      if (!first) await replacement.start();
      world.replaced.push(old);
      world.servers.splice(world.servers.indexOf(old), 1, replacement);
      return `${old.name} by ${replacement.name}, which was started ${first ? "before" : "after"}`;
    },
  },
  {
    name: "a server hangs",
    hits: "servers",
    run: ({ world, random }) => hung(random.pick(world.servers), random.between(1000, 3 * LEASE_MS)),
  },
  {
    name: "a route is killed",
    hits: "routes",
    async run({ world, random }) {
      const route = random.pick(world.routes);
      const downMs = random.between(0, 4000);
      await route.kill();
      await Bun.sleep(downMs);
      await route.start();
      return `${route.name}, down for ${downMs} ms`;
    },
  },
  {
    name: "a route is drained and started again",
    hits: "routes",
    async run({ world, random, blame }) {
      const route = random.pick(world.routes);
      await drained(route, blame);
      await route.start();
      return route.name;
    },
  },
  {
    name: "a route hangs",
    hits: "routes",
    run: ({ world, random }) => hung(random.pick(world.routes), random.between(1000, 8000)),
  },
  {
    name: "answers of routes are lost",
    hits: "routes",
    async run({ world, random }) {
      const ms = random.between(500, 6000);
      for (const gate of world.gates) gate.mute();
      await Bun.sleep(ms);
      for (const gate of world.gates) gate.unmute();
      return `for ${ms} ms`;
    },
  },
  {
    name: "Redis is killed and restarted",
    hits: "redis",
    impossible: isEmbedded,
    async run({ world, random }) {
      const downMs = random.between(0, 4000);
      await world.redis!.kill();
      await Bun.sleep(downMs);
      await world.redis!.start();
      return `down for ${downMs} ms`;
    },
  },
  {
    name: "Redis hangs for 10 s",
    hits: "redis",
    impossible: isEmbedded,
    async run({ world }) {
      world.redis!.pause();
      await Bun.sleep(10_000);
      world.redis!.resume();
      return "";
    },
  },
  {
    name: "ZooKeeper is restarted",
    hits: "zookeeper",
    impossible: isEmbedded,
    async run({ world, random }) {
      const downMs = random.between(0, 2 * LEASE_MS);
      await world.zookeeper!.kill();
      await Bun.sleep(downMs);
      await world.zookeeper!.start();
      return `down for ${downMs} ms`;
    },
  },
  {
    name: "ZooKeeper hangs",
    hits: "zookeeper",
    impossible: isEmbedded,
    async run({ world, random }) {
      const ms = random.between(1000, 3 * LEASE_MS);
      world.zookeeper!.pause();
      await Bun.sleep(ms);
      world.zookeeper!.resume();
      return `for ${ms} ms`;
    },
  },
  {
    name: "a network is cut off and joined again",
    hits: "network",
    impossible: ({ noNetwork }) => noNetwork,
    async run({ world, random }) {
      const ms = random.between(1000, 4 * LEASE_MS);
      await world.namespace!.cut();
      await Bun.sleep(ms);
      await world.namespace!.join();
      return `for ${ms} ms`;
    },
  },
  {
    name: "clients are killed and started again",
    hits: "clients",
    async run({ crowds, random }) {
      const index = random.between(0, crowds.size - 1);
      const downMs = random.between(0, 2000);
      await crowds.restart(index, downMs);
      return `crowd ${index + 1}, down for ${downMs} ms`;
    },
  },
];

function isEmbedded({ redis }: World): string | null {
  return redis ? null : "the engines are embedded";
}

async function drained(role: Role, blame: Scene["blame"]): Promise<void> {
  const code = await role.process.stop(20_000).catch((error: Error) => error.message);
  if (code !== 0) blame("process", `${role.name} on SIGTERM: want exit code 0, got ${code}`);
}

async function hung(role: Role, ms: number): Promise<string> {
  role.process.signal("SIGSTOP");
  await Bun.sleep(ms);
  role.process.signal("SIGCONT");
  return `${role.name}, for ${ms} ms`;
}
