/**
 * The sessions of users, kept here and read again when they changed. Every push asks for its receivers', and logins are
 * far rarer than messages: one command tells of all of them who changed, where reading them takes one for each.
 */
import { type RedisClient, script } from "./redis-client.ts";
import { changesKey, SESSIONS_FORMAT, SHARDS } from "./redis-keys.ts";
import type { Session } from "./sessions.ts";

/** Users kept; those that were read longest ago go first. */
const MAX_USERS = 20_000;
/** Told of no change: of a user who was never read, "-" being one nothing was ever told of. */
const NEVER = "?";

/**
 * Lua: the field in which changes of a user's sessions are told, given its id as text. Users share one, so that there are
 * few; when those of one change, the others are read again, too.
 */
export const FIELD_OF = "local function field(userId) return string.sub(userId, -3) end";

// ARGV: the form of a key of sessions, shards, and the users, each with the change after which it was last read.
// Answers for each whose field tells of another change: which of them it is, that change, and its sessions.
const CHANGED = script(`
${FIELD_OF}
local form, shards = ARGV[1], tonumber(ARGV[2])
local users, fields, known = {}, {}, {}
for user, change in string.gmatch(ARGV[3], '(%d+) (%S+)') do
  local i = #users + 1
  users[i], fields[i], known[i] = user, field(user), change
end
local answer = {}
for first = 1, #users, 4000 do
  local last = math.min(first + 3999, #users)
  local changes = redis.call('HMGET', KEYS[1], unpack(fields, first, last))
  for i = first, last do
    local change = changes[i - first + 1] or '-'
    if change ~= known[i] then
      local key = string.format(form, users[i] % shards, users[i])
      answer[#answer + 1] = { i - 1, change, redis.call('HVALS', key) }
    end
  end
end
return answer
`);

interface Kept {
  /** What was said of the last change when these were read. */
  change: string;
  sessions: readonly Session[];
}

export class SessionCache {
  readonly #client: RedisClient;
  readonly #kept = new Map<number, Kept>();

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /** Every session of each of these users, as it is in Redis now; none for a user without. */
  async ofUsers(userIds: readonly number[]): Promise<Map<number, readonly Session[]>> {
    const found = new Map<number, readonly Session[]>();
    const shardOf = (userId: number) => userId % SHARDS;
    await Promise.all(this.#client.together(userIds, shardOf).map((its) => this.#read(its, found)));
    return found;
  }

  async #read(userIds: readonly number[], found: Map<number, readonly Session[]>): Promise<void> {
    const kept = userIds.map((userId) => this.#kept.get(userId));
    const users = userIds.map((userId, i) => `${userId} ${kept[i]?.change ?? NEVER}`).join(" ");
    const keys = [changesKey(this.#client.home(userIds[0]! % SHARDS))];
    const changed = await this.#client.script<[number, Buffer, Buffer[]][]>(CHANGED, keys, [
      SESSIONS_FORMAT,
      SHARDS,
      users,
    ]);
    for (const [i, change, rows] of changed) {
      kept[i] = { change: String(change), sessions: rows.map(toSession) };
      this.#keep(userIds[i]!, kept[i]);
    }
    for (const [i, userId] of userIds.entries())
      if (kept[i]!.sessions.length > 0) found.set(userId, kept[i]!.sessions);
  }

  #keep(userId: number, kept: Kept): void {
    this.#kept.delete(userId);
    this.#kept.set(userId, kept);
    if (this.#kept.size > MAX_USERS) this.#kept.delete(this.#kept.keys().next().value!);
  }
}

export function toSession(row: Buffer): Session {
  return JSON.parse(String(row)) as Session;
}
