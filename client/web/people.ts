/** Who is online, as far as it was looked at: the first so many, and whether there are more. */
import type { User } from "../sdk/types.ts";

/** The part of a client that is asked. */
export interface PeopleSource {
  onlineUsers(options: { prefix?: string }): AsyncGenerator<User, void, void>;
  findUser(name: string): Promise<User | null>;
}

export const PAGE_PEOPLE = 50;

export class People {
  list: User[] = [];
  more = false;
  /** Whether they are being asked for. */
  refreshing = false;
  /** When they were asked for last, as Date.now() counts. */
  refreshedAt = 0;
  /** What is known of accounts, also from what happens in conversations. */
  readonly online = new Map<number, boolean>();
  #wanted = PAGE_PEOPLE;

  /** Looks again, as far as was looked before. */
  async refresh(source: PeopleSource, me: number): Promise<void> {
    this.refreshing = true;
    this.refreshedAt = Date.now();
    const { list, more } = await take(source.onlineUsers({}), this.#wanted, me).finally(() => {
      this.refreshing = false;
    });
    for (const { userId } of list) this.online.set(userId, true);
    if (!more) {
      const here = new Set(list.map(({ userId }) => userId));
      for (const userId of this.online.keys()) if (!here.has(userId)) this.online.set(userId, false);
    }
    Object.assign(this, { list, more });
  }

  showMore(source: PeopleSource, me: number): Promise<void> {
    this.#wanted += PAGE_PEOPLE;
    return this.refresh(source, me);
  }

  /** Those online whose names begin so; when there are none, the account of exactly this name. */
  async find(source: PeopleSource, name: string, me: number): Promise<{ list: User[]; more: boolean }> {
    const found = await take(source.onlineUsers({ prefix: name }), PAGE_PEOPLE, me);
    if (found.list.length > 0) return found;
    const exact = await source.findUser(name).catch(() => null);
    return { list: exact && exact.userId !== me ? [exact] : [], more: false };
  }
}

async function take(
  users: AsyncGenerator<User, void, void>,
  count: number,
  me: number,
): Promise<{ list: User[]; more: boolean }> {
  const list: User[] = [];
  for await (const user of users) {
    if (user.userId === me) continue;
    if (list.length === count) return { list, more: true };
    list.push(user);
  }
  return { list, more: false };
}
