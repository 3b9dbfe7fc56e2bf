/** Which server a login is given: pure functions of the list, the user, and what the caller counts or draws. */
import type { Config } from "../common/config.ts";
import { addressOf, type ServerInstance } from "../common/registry/registry.ts";

export interface Choice {
  userId: number;
  /** One more than at the choice before. */
  turn: number;
  /** From 0 up to but not including 1. */
  random: number;
  /** Connections a server has, those on their way to it included. */
  load: (server: ServerInstance) => number;
}

/** Answers one of `servers`, of which there is at least one. */
export type Pick = (servers: readonly ServerInstance[], choice: Choice) => ServerInstance;

export const PICKS: Record<Config["pick"], Pick> = {
  "round-robin": (servers, { turn }) => servers[turn % servers.length]!,
  random: (servers, { random }) => servers[Math.floor(random * servers.length)]!,
  "consistent-hash": (servers, { userId }) => highest(servers, (server) => weight(seedOf(server), userId)),
  "least-connections": (servers, { load }) => highest(servers, (server) => -load(server)),
};

function highest(
  servers: readonly ServerInstance[],
  score: (server: ServerInstance) => number,
): ServerInstance {
  let best = servers[0]!;
  let bestScore = score(best);
  for (let i = 1; i < servers.length; i++) {
    const candidate = servers[i]!;
    const candidateScore = score(candidate);
    if (candidateScore > bestScore) [best, bestScore] = [candidate, candidateScore];
  }
  return best;
}

/**
 * Rendezvous hashing (Thaler and Ravishankar, 1996): every server draws a weight for the user, the highest has it.
 * There is no ring to build, every server gets its even share, and one that leaves moves only its own users.
 */
function weight(seed: number, userId: number): number {
  return mix(mix(seed ^ (userId % 2 ** 32)) ^ Math.floor(userId / 2 ** 32)) >>> 0;
}

const seeds = new WeakMap<ServerInstance, number>();

/** FNV-1a over the server's address: a restart there changes nothing. */
function seedOf(server: ServerInstance): number {
  const known = seeds.get(server);
  if (known !== undefined) return known;
  const address = addressOf(server);
  let hash = 0x811c9dc5;
  for (let i = 0; i < address.length; i++) hash = Math.imul(hash ^ address.charCodeAt(i), 0x01000193);
  seeds.set(server, hash);
  return hash;
}

// The finalizer of MurmurHash3: every bit of the input moves half the bits of the output.
function mix(given: number): number {
  let hash = given;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
