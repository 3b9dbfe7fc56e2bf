import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { isUserId } from "../../proto/conversation.ts";
import type { Store } from "../../route/store/store.ts";

/** @param open an engine with nothing in it */
export function accountsContract(name: string, open: () => Promise<Store>): void {
  describe(`accounts in ${name}`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    test("a new name gets an account, found by its id and by its name", async () => {
      const { account, created } = await store.accounts.register("zhangsan", "$argon2id$v=19$hash");
      expect({ created, account, valid: isUserId(account.userId) }).toEqual({
        created: true,
        account: { userId: account.userId, userName: "zhangsan", passwordHash: "$argon2id$v=19$hash" },
        valid: true,
      });
      expect([await store.accounts.byId(account.userId), await store.accounts.byName("zhangsan")]).toEqual([
        account,
        account,
      ]);
    });

    test("an account without a password has none", async () => {
      const { account } = await store.accounts.register("open", null);
      expect(await store.accounts.byId(account.userId)).toEqual({
        userId: account.userId,
        userName: "open",
        passwordHash: null,
      });
    });

    test("a known name keeps its account, whatever password comes with it", async () => {
      const { account } = await store.accounts.register("zhangsan", "first");
      expect([
        await store.accounts.register("zhangsan", "second"),
        await store.accounts.register("zhangsan", null),
        await store.accounts.byName("zhangsan"),
      ]).toEqual([{ account, created: false }, { account, created: false }, account]);
    });

    test("a new password takes the place of the old one, or of none, and of nobody else's", async () => {
      const { accounts } = store;
      const [one, two, three] = [
        await accounts.register("one", "first"),
        await accounts.register("two", null),
        await accounts.register("three", "third"),
      ].map(({ account }) => account);
      await accounts.setPassword(one!.userId, "second");
      await accounts.setPassword(two!.userId, "its first");
      expect([
        await accounts.byId(one!.userId),
        await accounts.byName("two"),
        await accounts.byName("three"),
      ]).toEqual([{ ...one!, passwordHash: "second" }, { ...two!, passwordHash: "its first" }, three!]);
    });

    test("nobody is found under an id or a name that was never given", async () => {
      const { account } = await store.accounts.register("zhangsan", null);
      expect([
        await store.accounts.byId(account.userId + 1),
        await store.accounts.byId(Number.MAX_SAFE_INTEGER),
        await store.accounts.byName("lisi"),
      ]).toEqual([null, null, null]);
    });

    test("many registrations of one name at once make one account", async () => {
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, i) => store.accounts.register("zhangsan", `hash ${i}`)),
      );
      expect({
        created: all.filter(({ created }) => created).length,
        accounts: new Set(all.map(({ account }) => JSON.stringify(account))).size,
      }).toEqual({ created: 1, accounts: 1 });
    });

    test("many names at once get an id each", async () => {
      const all = await Promise.all(
        Array.from({ length: 100 }, (_, i) => store.accounts.register(`user ${i}`, null)),
      );
      expect({
        ids: new Set(all.map(({ account }) => account.userId)).size,
        valid: all.every(({ account, created }) => created && isUserId(account.userId)),
        names: all.map(({ account }) => account.userName),
      }).toEqual({ ids: 100, valid: true, names: Array.from({ length: 100 }, (_, i) => `user ${i}`) });
    });

    test("names of any script, and names that look like something else, are only names", async () => {
      const names = [
        "张三",
        "Ünïcödé 🦊",
        "ÜNÏCÖDÉ 🦊",
        "محمد",
        "cim-route:1",
        "cim-account:1",
        "login-status",
        "__proto__",
        "constructor",
        "'; DROP TABLE accounts; --",
        "{tag}",
        "a:b",
        "a",
        "A",
        "%",
        "*",
        "1",
        "x".repeat(64),
        "🦊".repeat(64),
      ];
      const ids = new Map<string, number>();
      for (const name of names) ids.set(name, (await store.accounts.register(name, name)).account.userId);
      expect(new Set(ids.values()).size).toBe(names.length);
      const found = await Promise.all(
        names.flatMap((name) => [store.accounts.byName(name), store.accounts.byId(ids.get(name)!)]),
      );
      expect(found).toEqual(
        names.flatMap((name) => {
          const account = { userId: ids.get(name)!, userName: name, passwordHash: name };
          return [account, account];
        }),
      );
    });
  });
}
