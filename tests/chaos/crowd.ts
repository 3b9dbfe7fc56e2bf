/**
 * A program of many clients that chat with each other and with everyone: `bun crowd.ts <settings as JSON>`. It takes
 * a numbered word a line, "1 chat", "2 quiet" and "3 leave", and says when it has done so. Made to be killed and started again.
 */
import { createInterface } from "node:readline";
import type { Answers } from "../../route/api.ts";
import { Journal, readJournal } from "./journal.ts";
import { Member, type Participant, Past } from "./member.ts";
import { Random } from "./random.ts";

export interface CrowdSettings {
  routeUrl: string;
  adminKey: string;
  journal: string;
  seed: number;
  /** Everyone who takes part, and who of them is of this crowd. */
  participants: Participant[];
  first: number;
  count: number;
  /** Messages a second that this crowd sends, to one and to all. */
  toOne: number;
  toAll: number;
}

const TICK_MS = 50;
/** Who has this many without an outcome writes no more until some are through. */
const MAX_PENDING = 20;
/** Of the participants after one's own, whom one talks to, and of whom one hears for the same reason. */
const FRIENDS = [1, 2, 37];
const MAX_BURST = 5;
/** More than one frame holds; one burst in so many. */
const LARGE_BURST = 80;
const LARGE_BURST_EVERY = 200;
/** One in so many comes over a WebSocket. */
const WEBSOCKET_EVERY = 4;
/** One in so many reads slowly, and one message in so many is large. */
const SLOW_EVERY = 15;
const SLOW_MS = 5;
const LARGE_EVERY = 100;
const LARGE_CHARACTERS = 30_000;
const SMALL_CHARACTERS = 200;
const LOGIN_RETRY_MS = 200;

// A crowd that goes on after an error of its own would prove nothing.
process.on("uncaughtException", (error) => {
  console.error(error);
  process.exit(1);
});

const settings = JSON.parse(process.argv[2]!) as CrowdSettings;
const { participants, first } = settings;
const own = participants.slice(first, first + settings.count);
const random = new Random(settings.seed);
const pasts = new Map(own.map(({ name }) => [name, new Past()]));
for (const entry of readJournal(settings.journal).entries) pasts.get(entry.client)?.add(entry);
const journal = new Journal(settings.journal);
const members = await Promise.all(own.map(join));
let chatting: ReturnType<typeof setInterval> | null = null;
console.log("ready");

const words: Record<string, () => Promise<void>> = {
  async chat() {
    chatting ??= setInterval(chat, TICK_MS);
  },
  async quiet() {
    if (chatting) clearInterval(chatting);
    chatting = null;
    await Promise.all(members.map((member) => member.quiet()));
  },
  async leave() {
    await Promise.all(members.map((member) => member.leave()));
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const [number, word] = line.split(" ") as [string, string];
  await words[word]!();
  console.log(`done ${number}: ${word}`);
  if (word === "leave") break;
}
process.exit(0);

async function join(who: Participant, index: number): Promise<Member> {
  const past = pasts.get(who.name)!;
  past.token ??= await firstToken(who);
  const slowMs = (first + index) % SLOW_EVERY === 0 ? SLOW_MS : 0;
  const overWebSocket = (first + index) % WEBSOCKET_EVERY === 0;
  return Member.join({ routeUrl: settings.routeUrl, who, journal, slowMs, overWebSocket }, past);
}

/** As a backend gets one for its user: with the API key, without a password. */
async function firstToken({ userId, device }: Participant): Promise<string> {
  for (;;) {
    const response = await fetch(`${settings.routeUrl}/login`, {
      method: "POST",
      headers: { authorization: `Bearer ${settings.adminKey}`, "content-type": "application/json" },
      body: JSON.stringify({ userId, device }),
    });
    const { code, message, dataBody } = (await response.json()) as {
      code: string;
      message: string;
      dataBody: Answers<"login">;
    };
    if (code === "9000") return dataBody.token!;
    console.log(`login of ${userId}: ${code} ${message}`);
    await Bun.sleep(LOGIN_RETRY_MS);
  }
}

function chat(): void {
  for (let left = share(settings.toOne); left > 0; ) {
    const index = random.between(0, own.length - 1);
    const friend = participants[(first + index + random.pick(FRIENDS)) % participants.length]!;
    const forward = random.next() < 0.5;
    // Half of it the other way round, so that both sides of a conversation write.
    const back = participants.at((first + index - random.pick(FRIENDS)) % participants.length)!;
    const isLarge = random.between(1, LARGE_BURST_EVERY) === 1;
    const burst = isLarge ? LARGE_BURST : random.between(1, Math.min(MAX_BURST, left));
    left -= burst;
    const member = members[index]!;
    const { userId } = forward ? friend : back;
    if (member.pending >= MAX_PENDING || userId === member.userId) continue;
    for (let i = 0; i < burst; i++) member.sendTo(userId, padding());
  }
  for (let left = share(settings.toAll); left > 0; left--) {
    const member = random.pick(members);
    if (member.pending < MAX_PENDING) member.sendAll(padding());
  }
}

/** How many of so many a second are due in this tick. */
function share(perSecond: number): number {
  const due = (perSecond * TICK_MS) / 1000;
  return Math.floor(due) + (random.next() < due % 1 ? 1 : 0);
}

function padding(): number {
  return random.between(1, LARGE_EVERY) === 1
    ? random.between(SMALL_CHARACTERS, LARGE_CHARACTERS)
    : random.between(0, SMALL_CHARACTERS);
}
