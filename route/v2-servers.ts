/**
 * Out to CIM v2 servers. One of those takes messages for one user at a time, answers Success whether the user is there
 * or not, and its clients acknowledge nothing. So each of its users is read to from the log: a push only says from where
 * on there is something new, and the cursor moves with each Success. Nothing is under way twice for one user, whichever
 * routes it is asked of: these clients cannot tell a message they have seen.
 */
import { Batcher } from "../common/batch.ts";
import type { Logger } from "../common/logger.ts";
import { addressOf, type ServerInstance } from "../common/registry/registry.ts";
import { ALL } from "../proto/conversation.ts";
import type { DownlinkItem } from "../proto/gen/link_pb.ts";
import type { Fate, Target } from "./downlinks.ts";
import type { Servers } from "./servers.ts";
import type { Sessions } from "./store/sessions.ts";
import { isOn, type Outcome, type V2Reader, type V2User, type Wanted } from "./v2-reader.ts";

export interface V2ServersParts {
  servers: Pick<Servers, "find" | "state">;
  sessions: Pick<Sessions, "list">;
  reader: Pick<V2Reader, "read">;
  logger: Logger;
  /** How soon a user who asked for what was kept, and could not be read to, is tried again. Default 1 s. */
  againMs?: number;
}

/** Users of one server who are read to at once. */
const MAX_READERS = 32;
const PAGE_USERS = 1000;
const AGAIN_MS = 1000;

interface Wish extends Wanted {
  done: PromiseWithResolvers<Fate>;
}

type Run = () => Promise<Outcome>;

export class V2Servers {
  readonly #parts: V2ServersParts;
  /** What is to be read next, by user and server. */
  readonly #wishes = new Map<string, Wish>();
  readonly #serving = new Set<string>();
  readonly #lanes = new WeakMap<ServerInstance, Batcher<Run, Outcome>>();
  readonly #listings = new WeakMap<ServerInstance, Batcher<number, { fate: Promise<Fate> }>>();

  constructor(parts: V2ServersParts) {
    this.#parts = parts;
  }

  /** Resolves with what became of the item, once those it is for were read to; a wish for what was kept, at once. */
  async take({ address, bootId }: Target, { body }: DownlinkItem): Promise<Fate> {
    const server = this.#parts.servers.find(address, bootId);
    if (!server) return this.#parts.servers.state(address, bootId) === "gone" ? "gone" : "left";
    if (body.case === "delivery") {
      const { everyone, userIds, conversation, seq } = body.value;
      if (!everyone) return this.#push(server, userIds.map(Number), conversation, Number(seq));
      const { fate } = await this.#listing(server).add(Number(seq));
      return fate;
    }
    if (body.case === "catchUp") {
      const user = { userId: Number(body.value.userId), server };
      void this.#wish(user, (wish) => {
        wish.everything = true;
      });
    }
    // Whatever else there is, such a server cannot do it.
    return "taken";
  }

  async #push(
    server: ServerInstance,
    userIds: readonly number[],
    conversation: string,
    seq: number,
  ): Promise<Fate> {
    const fates = userIds.map((userId) =>
      this.#wish({ userId, server }, ({ live }) => {
        live.set(conversation, Math.min(seq, live.get(conversation) ?? seq));
      }),
    );
    return (await Promise.all(fates)).includes("left") ? "left" : "taken";
  }

  /** Nobody keeps a list of a server's users: all sessions are looked through, once for all that is said meanwhile. */
  #listing(server: ServerInstance): Batcher<number, { fate: Promise<Fate> }> {
    return remembered(this.#listings, server, () => {
      return new Batcher(async (seqs: number[]) => {
        const fate = this.#push(server, await this.#usersOf(server), ALL, Math.min(...seqs));
        return seqs.map(() => ({ fate }));
      });
    });
  }

  async #usersOf(server: ServerInstance): Promise<number[]> {
    const userIds = new Set<number>();
    for (let after = 0; ; ) {
      const page = await this.#parts.sessions.list(after, PAGE_USERS);
      const last = page.at(-1);
      if (!last) return [...userIds];
      for (const session of page) if (isOn(session, server)) userIds.add(session.userId);
      after = last.userId;
    }
  }

  #wish(user: V2User, add: (wish: Wish) => void): Promise<Fate> {
    const key = `${user.userId} ${addressOf(user.server)} ${user.server.bootId}`;
    const wish = this.#wishes.get(key) ?? newWish();
    this.#wishes.set(key, wish);
    add(wish);
    if (!this.#serving.has(key)) void this.#serve(key, user);
    return wish.done.promise;
  }

  /** One run after another, until nothing more is wished. */
  async #serve(key: string, user: V2User): Promise<void> {
    this.#serving.add(key);
    for (let wish = this.#wishes.get(key); wish; wish = this.#wishes.get(key)) {
      const { everything, done } = wish;
      const taken = () => this.#wishes.delete(key);
      const outcome = await this.#lane(user.server).add(() => this.#read(user, wish!, taken));
      if (typeof outcome === "object") {
        await wait(outcome.waitMs);
        continue;
      }
      if (this.#wishes.get(key) === wish) taken();
      done.resolve(outcome);
      if (outcome === "left" && everything) await this.#wishAgain(key, user);
    }
    this.#serving.delete(key);
  }

  /** The client asks once; as long as its server is there, that is heard. */
  async #wishAgain(key: string, { server }: V2User): Promise<void> {
    await wait(this.#parts.againMs ?? AGAIN_MS);
    if (!this.#parts.servers.find(addressOf(server), server.bootId)) return;
    const wish = this.#wishes.get(key) ?? newWish();
    wish.everything = true;
    this.#wishes.set(key, wish);
  }

  #lane(server: ServerInstance): Batcher<Run, Outcome> {
    return remembered(this.#lanes, server, () => {
      const one = async ([run]: Run[]) => [await run!()];
      return new Batcher(one, () => 0, { maxItems: 1, concurrency: MAX_READERS });
    });
  }

  async #read(user: V2User, wanted: Wanted, begin: () => void): Promise<Outcome> {
    try {
      return await this.#parts.reader.read(user, wanted, begin);
    } catch (error) {
      const { userId, server } = user;
      this.#parts.logger.warn(
        { server: addressOf(server), userId, error: String(error) },
        "a CIM v2 server did not take a push",
      );
      return "left";
    }
  }
}

function newWish(): Wish {
  return { everything: false, live: new Map(), done: Promise.withResolvers<Fate>() };
}

function remembered<K extends object, V>(known: WeakMap<K, V>, key: K, make: () => V): V {
  const there = known.get(key);
  if (there) return there;
  const made = make();
  known.set(key, made);
  return made;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
