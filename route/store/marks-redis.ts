/**
 * What is to be pushed, in Redis: a mark for each run of messages that one call appended to a conversation. Which of a
 * run were pushed by this process is known here alone; a run that a crash leaves half done is pushed once more.
 */
import type { Stored } from "./log.ts";
import { acceptedAt, messageOf } from "./record-redis.ts";
import { type RedisClient, script } from "./redis-client.ts";
import { ALL_SHARDS, headsKey, logKey, marksKey, SHARDS, shardOf } from "./redis-keys.ts";

// For each mark: its conversation, the first seq of the run that is still kept, and its records from there on, at most
// ARGV[1] records in all.
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

// ARGV: the keys, and the member of each in another text, one a line.
const UNMARK = script(`
local member = string.gmatch(ARGV[2], '%C+')
for key in string.gmatch(ARGV[1], '%S+') do redis.call('ZREM', key, member()) end
`);

/** How long marks that may come off wait for others: each call that writes makes Redis wait for the disk. */
const GATHER_MS = 20;

/** A run under way that is forgotten comes back with the sweep; so many that it says something else is wrong. */
const MAX_RUNS = 100_000;

interface Run {
  conversation: string;
  first: number;
  last: number;
  /** All of it before this was pushed. */
  next: number;
  /** Those of the rest that were pushed; null for none, as mostly. */
  pushed: Set<number> | null;
}

export class Marks {
  readonly #client: RedisClient;
  /** Runs this process appended or took up, by conversation. */
  readonly #runs = new Map<string, Run[]>();
  #count = 0;

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /** These were appended, and with them their mark. */
  add(conversation: string, first: number, last: number): void {
    this.#know({ conversation, first, last, next: first, pushed: null });
  }

  /** Messages accepted before `at` that are marked, in seq order within each conversation, at most `limit`. */
  async take(at: number, limit: number): Promise<Stored[]> {
    const found: Stored[] = [];
    for (const marks of this.#client.together(await this.#oldest(at, limit), shardOfRun))
      found.push(...(await this.#read(marks, at, limit - found.length)));
    return found.sort((a, b) =>
      a.conversation === b.conversation ? a.seq - b.seq : a.conversation < b.conversation ? -1 : 1,
    );
  }

  /** These were pushed: marks all of whose messages were come off. */
  async remove(messages: readonly { conversation: string; seq: number }[]): Promise<void> {
    const done: Run[] = [];
    for (const { conversation, seq } of messages) {
      const run = this.#runs.get(conversation)?.find(({ first, last }) => first <= seq && seq <= last);
      if (!run) continue;
      if (push(run, seq)) done.push(run);
    }
    if (done.length === 0) return;
    // Who calls gathers meanwhile what the next call takes off.
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    await this.#unmark(done);
  }

  async #unmark(runs: readonly Run[]): Promise<void> {
    await Promise.all(
      this.#client.together(runs, shardOfRun).map(async (its) => {
        const keys = its.map((run) => marksKey(shardOfRun(run)));
        await this.#client.scriptOfMany(UNMARK, keys, [its.map(memberOf).join("\n")]);
        for (const run of its) this.#forget(run);
      }),
    );
  }

  async #read(runs: readonly Run[], at: number, limit: number): Promise<Stored[]> {
    if (runs.length === 0 || limit <= 0) return [];
    const known = runs.map((run) => this.#know(run));
    const keys = known.flatMap((run) => [headsKey(shardOfRun(run)), logKey(run.conversation)]);
    const args = known.flatMap(({ conversation, next, last }) => [conversation, next, last]);
    const answer = await this.#client.script<[number, Buffer[]][]>(TAKE, keys, [limit, ...args]);
    // Retention has taken all of them.
    await this.#unmark(known.filter((run, i) => answer[i]![0] > run.last));
    return known.flatMap(({ conversation, next, pushed }, i) => {
      const [kept, records] = answer[i]!;
      return records.flatMap((record, j): Stored[] => {
        const seq = kept + j;
        return seq < next || pushed?.has(seq) || acceptedAt(record) >= at
          ? []
          : [{ conversation, seq, bytes: messageOf(record, seq) }];
      });
    });
  }

  /** Marks from before `at`, oldest first within their shard, at most `limit`. */
  async #oldest(at: number, limit: number): Promise<Run[]> {
    const look = (shards: readonly number[], share: number) =>
      Promise.all(
        shards.map((shard) =>
          this.#client.run((redis) =>
            redis.zrangebyscore(marksKey(shard), "-inf", `(${at}`, "LIMIT", 0, share),
          ),
        ),
      );
    // Nearly always there are few, and all of them in the first answer; else every shard gets its turn.
    const share = Math.min(limit, Math.ceil(limit / SHARDS) + 8);
    const found = await look(ALL_SHARDS, share);
    const busy = ALL_SHARDS.filter((shard) => found[shard]!.length === share);
    const sum = found.reduce((sum, members) => sum + members.length, 0);
    if (busy.length > 0 && sum < limit) {
      for (const [i, members] of (await look(busy, limit)).entries()) found[busy[i]!] = members;
    }
    const turn = Math.floor(Math.random() * SHARDS);
    return [...found.slice(turn), ...found.slice(0, turn)].flat().slice(0, limit).map(runOf);
  }

  /** The run as it is known here already, or from now on. */
  #know(run: Run): Run {
    const runs = this.#runs.get(run.conversation);
    const known = runs?.find(({ first }) => first === run.first);
    if (known) return known;
    if (runs) runs.push(run);
    else this.#runs.set(run.conversation, [run]);
    if (++this.#count > MAX_RUNS) {
      const [oldest] = this.#runs.values();
      this.#forget(oldest![0]!);
    }
    return run;
  }

  #forget(run: Run): void {
    const runs = this.#runs.get(run.conversation);
    const at = runs?.indexOf(run) ?? -1;
    if (at < 0) return;
    this.#count--;
    runs!.splice(at, 1);
    if (runs!.length === 0) this.#runs.delete(run.conversation);
  }
}

function shardOfRun({ conversation }: Run): number {
  return shardOf(conversation);
}

/** One of the run was pushed, mostly the next; answers whether that was the last one. */
function push(run: Run, seq: number): boolean {
  if (seq !== run.next) {
    if (seq < run.next) return false;
    run.pushed ??= new Set();
    run.pushed.add(seq);
    return false;
  }
  run.next++;
  while (run.pushed?.delete(run.next)) run.next++;
  return run.next > run.last;
}

/** A member of the marks. Of equal width, so that marks of one moment are in the order of their seqs. */
function memberOf({ conversation, first, last }: Run): string {
  return `${conversation} ${padded(first)} ${padded(last)}`;
}

function runOf(member: string): Run {
  const [conversation, first, last] = member.split(" ") as [string, string, string];
  return { conversation, first: Number(first), last: Number(last), next: Number(first), pushed: null };
}

function padded(seq: number): string {
  return String(seq).padStart(16, "0");
}
