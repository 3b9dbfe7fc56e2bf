/**
 * Every key there is in Redis; docs/redis-keys.md says what is in them. What must change in one step shares a hash
 * tag, and with it a slot of a Cluster: conversations fall into shards {c0} … {c255}, users into {u0} … {u255}.
 *
 * 256: a handful for each node of as large a Cluster as anyone runs, so that they spread, and few enough to ask all
 * of them at once, as the search for unpushed messages does every second. The number is part of the keys: never change it.
 */
export const SHARDS = 256;

/** Every shard's number. */
export const ALL_SHARDS: readonly number[] = Array.from({ length: SHARDS }, (_, shard) => shard);

export const VERSION = "cim:version";

// Accounts.
export const NEXT_USER_ID = "cim:user-id";
export const accountKey = (userId: number) => `cim-account:${userId}`;
export const passwordKey = (userId: number) => `cim:password:${userId}`;
/** Names are fields of a hash, never part of a key: one may look like anything. */
export const namesKey = (userName: string) => `cim:names:{n${shardOf(userName)}}`;

// Sessions. The first two are CIM v2's.
export const routeKey = (userId: number) => `cim-route:${userId}`;
export const LOGIN_STATUS = "login-status";
export const sessionsKey = (userId: number) => `cim:sessions:{u${userId % SHARDS}}:${userId}`;
/** The same for Lua's string.format, given the shard and the userId. */
export const SESSIONS_FORMAT = "cim:sessions:{u%d}:%s";
export const changesKey = (userShard: number) => `cim:changes:{u${userShard}}`;
export const onlineKey = (userShard: number) => `cim:online:{u${userShard}}`;
export const revokedKey = (sessionId: string) => `cim:revoked:${sessionId}`;
export const signOutKey = (userId: number) => `cim:signout:${userId}`;

// Cursors.
export const slotsKey = (userId: number) => `cim:slots:{u${userId % SHARDS}}:${userId}`;
export const cursorsKey = (userId: number) => `cim:cursors:{u${userId % SHARDS}}:${userId}`;
export const talksKey = (userId: number) => `cim:talks:{u${userId % SHARDS}}:${userId}`;
export const readersKey = (userShard: number) => `cim:readers:{u${userShard}}`;

// The log.
export const headsKey = (shard: number) => `cim:heads:{c${shard}}`;
export const marksKey = (shard: number) => `cim:marks:{c${shard}}`;
export const oldestKey = (shard: number) => `cim:oldest:{c${shard}}`;
export const logKey = (conversation: string, shard = shardOf(conversation)) =>
  `cim:log:{c${shard}}:${conversation}`;
export const retriesKey = (shard: number) => `cim:retries:{c${shard}}`;

/** @param name made of ids alone */
export const lockKey = (name: string) => `cim:lock:${name}`;

/** @param digest of a fixed length: what is counted may have been chosen by anyone */
export const throttleKey = (digest: string) => `cim:throttle:${digest}`;

const encoder = new TextEncoder();

/** FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), 32 bits, of the UTF-8 of `text`. */
export function shardOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return shardOfBytes(encoder.encode(text));
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  return (hash >>> 0) % SHARDS;
}

function shardOfBytes(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % SHARDS;
}
