/**
 * What is to be pushed, in Redis: one mark for all that one call appended. Which of it was pushed is known only to the
 * process that does it; of a mark that a crash leaves half done, all is pushed once more.
 */
import { KnownMarks, type Mark, type Run } from "./known-marks.ts";
import { nameOf, type Stored } from "./log.ts";
import { acceptedAt, messageOf } from "./record-redis.ts";
import { type RedisClient, script } from "./redis-client.ts";
import { ALL_SHARDS, headsKey, logKey, marksKey, SHARDS, shardOf } from "./redis-keys.ts";

// For each run: the first seq of it that is still kept, and its records from there on, at most ARGV[1] records in all.
const TAKE = script(`
local answer, left = {}, tonumber(ARGV[1])
for i = 1, #KEYS / 2 do
  local name, first, last = ARGV[3 * i - 1], tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local head = tonumber(redis.call('HGET', KEYS[2 * i - 1], name) or 0)
  local kept = math.max(first, head - redis.call('LLEN', KEYS[2 * i]) + 1)
  last = math.min(last, kept + left - 1)
  local records = last < kept and {} or redis.call('LRANGE', KEYS[2 * i], kept - head - 1, last - head - 1)
  left = left - #records
  answer[i] = { kept, records }
end
return answer
`);

// ARGV: the keys, and for each a mark that comes off, what of it stays to be pushed ("" for nothing), and its score.
// Answers whether each mark was there.
const UNMARK = script(`
local answer, i = {}, 2
for key in string.gmatch(ARGV[1], '%S+') do
  local there = redis.call('ZREM', key, ARGV[i])
  if there == 1 and ARGV[i + 1] ~= '' then redis.call('ZADD', key, ARGV[i + 2], ARGV[i + 1]) end
  answer[#answer + 1] = there
  i = i + 3
end
return answer
`);

/** How long marks that may come off wait for others: each call that writes makes Redis wait for the disk. */
const GATHER_MS = 20;

export class Marks {
  readonly #client: RedisClient;
  readonly #known = new KnownMarks();

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /** It was set just now; "" for none. Answers its runs. */
  set(mark: Mark): readonly Run[] {
    return this.#known.set(mark);
  }

  /** Messages accepted before `at` that are marked, in seq order within each conversation, at most `limit`. */
  async take(at: number, limit: number, except: ReadonlySet<string> = new Set()): Promise<Stored[]> {
    await this.#change();
    const runs: Run[] = [];
    let excepted = 0;
    for (const run of await this.#oldest(at, limit)) {
      const count = countIn(except, run);
      if (runs.length === limit) break;
      if (count > run.last - run.next) continue;
      excepted += count;
      runs.push(run);
    }
    const found: Stored[] = [];
    for (const its of this.#client.together(runs, shardOfRun))
      found.push(...(await this.#read(its, at, limit + excepted - found.length)));
    return found
      .filter((message) => !except.has(nameOf(message)))
      .slice(0, limit)
      .sort((a, b) =>
        a.conversation === b.conversation ? a.seq - b.seq : a.conversation < b.conversation ? -1 : 1,
      );
  }

  /** These were pushed: marks all of whose messages were come off. */
  async remove(messages: readonly { conversation: string; seq: number }[]): Promise<void> {
    const now = Date.now();
    for (const { conversation, seq } of messages) this.#known.pushed(conversation, seq, now);
    if (!this.#known.waiting) return;
    // Who calls gathers meanwhile what the next call takes off.
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    await this.#change();
  }

  async #change(): Promise<void> {
    const changes = this.#known.changes(Date.now());
    await Promise.all(
      this.#client
        .together(changes, ({ mark }) => mark.home)
        .map(async (its) => {
          const keys = its.map(({ mark }) => marksKey(mark.home));
          const args = its.flatMap(({ mark, rest }) => [mark.text, rest, mark.since]);
          try {
            const there = await this.#client.scriptOfMany<number[]>(UNMARK, keys, args);
            for (const [i, change] of its.entries()) this.#known.made(change, there[i] === 1, Date.now());
          } catch (error) {
            for (const change of its) this.#known.failed(change, Date.now());
            throw error;
          }
        }),
    );
  }

  async #read(runs: readonly Run[], at: number, limit: number): Promise<Stored[]> {
    if (limit <= 0) return [];
    const keys = runs.flatMap((run) => [headsKey(shardOfRun(run)), logKey(run.conversation)]);
    const args = runs.flatMap(({ conversation, next, last }) => [conversation, next, last]);
    const answer = await this.#client.script<[number, Buffer[]][]>(TAKE, keys, [limit, ...args]);
    const found = runs.flatMap(({ conversation, next, pushed }, i) => {
      const [kept, records] = answer[i]!;
      return records.flatMap((record, j): Stored[] => {
        const seq = kept + j;
        return seq < next || pushed?.has(seq) || acceptedAt(record) >= at
          ? []
          : [{ conversation, seq, bytes: messageOf(record, seq) }];
      });
    });
    // Retention has taken all of it.
    for (const [i, run] of runs.entries()) if (answer[i]![0] > run.last) this.#known.drop(run, Date.now());
    await this.#change();
    return found;
  }

  /** What is left of marks from before `at`, oldest first within their shard, of at most `limit` marks. */
  async #oldest(at: number, limit: number): Promise<Run[]> {
    const look = (shards: readonly number[], share: number) =>
      Promise.all(
        shards.map((shard) =>
          this.#client.run((redis) =>
            redis.zrangebyscore(marksKey(shard), "-inf", `(${at}`, "WITHSCORES", "LIMIT", 0, share),
          ),
        ),
      );
    // Nearly always there are few, and all of them in the first answer; else every shard gets its turn.
    const share = Math.min(limit, Math.ceil(limit / SHARDS) + 8);
    const found = await look(ALL_SHARDS, share);
    const busy = ALL_SHARDS.filter((shard) => found[shard]!.length === 2 * share);
    const sum = found.reduce((sum, { length }) => sum + length / 2, 0);
    if (busy.length > 0 && sum < limit) {
      for (const [i, marks] of (await look(busy, limit)).entries()) found[busy[i]!] = marks;
    }
    const turn = Math.floor(Math.random() * SHARDS);
    const runs: Run[] = [];
    for (let i = 0; i < SHARDS; i++) {
      const home = (turn + i) % SHARDS;
      const marks = found[home]!;
      for (let j = 0; j < marks.length; j += 2) {
        runs.push(...this.#known.find({ home, since: Number(marks[j + 1]), text: marks[j]! }));
      }
    }
    return runs;
  }
}

/** How many of those that are still to be pushed have their name in there. */
function countIn(names: ReadonlySet<string>, { conversation, next, last }: Run): number {
  let count = 0;
  for (let seq = next; seq <= last && names.size > 0; seq++)
    if (names.has(nameOf({ conversation, seq }))) count++;
  return count;
}

function shardOfRun({ conversation }: Run): number {
  return shardOf(conversation);
}
