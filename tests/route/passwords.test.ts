import { expect, test } from "bun:test";
import { PasswordDesk, type Passwords } from "../../route/passwords.ts";
import { passwords } from "../../route/passwords-bun.ts";

test("a password is kept as argon2id of 19 MiB and two passes, and known again", async () => {
  const hash = await passwords.hash("correct horse");
  expect(hash).toStartWith("$argon2id$v=19$m=19456,t=2,p=1$");
  expect([await passwords.verify("correct horse", hash), await passwords.verify("wrong", hash)]).toEqual([
    true,
    false,
  ]);
});

test("finding out that there is no account takes the work of finding out that the password is wrong", async () => {
  const work = new Work();
  const desk = new PasswordDesk(work);
  work.finishAll();
  const answers = [desk.verify("guess", null), desk.verify("guess", "hash of guess")];
  await settled();
  expect(work.underWay).toBe(2);
  work.finishAll();
  expect(await Promise.all(answers)).toEqual([false, true]);
});

test("a password is known again however it is spelled, and what is far too long to be one is tried as it came", async () => {
  const work = new Work();
  const desk = new PasswordDesk(work);
  work.finishAll();
  const longest = "\u1f82".repeat(85);
  const answers = [
    desk.verify(longest.normalize("NFD"), `hash of ${longest}`),
    desk.verify(`a${"\u0300\u0323".repeat(40_000)}`, "hash of another"),
  ];
  await settled();
  work.finishAll();
  expect(await Promise.all(answers)).toEqual([true, false]);
});

test("four hashes are computed at once, a hundred wait, and more are refused with 6000", async () => {
  const work = new Work();
  const desk = new PasswordDesk(work);
  work.finishAll();
  const answers = Array.from({ length: 110 }, (_, i) =>
    desk.hash(`password ${i}`).catch((error) => error.code),
  );
  await settled();
  expect(work.underWay).toBe(4);
  let most = 0;
  while (work.underWay > 0) {
    most = Math.max(most, work.underWay);
    work.finishAll();
    await settled();
  }
  const outcomes = await Promise.all(answers);
  expect([most, outcomes.slice(0, 104), outcomes.slice(104)]).toEqual([
    4,
    Array.from({ length: 104 }, (_, i) => `hash of password ${i}`),
    Array(6).fill("6000"),
  ]);
});

test("one that fails makes room for the next", async () => {
  const failing: Passwords = {
    hash: () => Promise.reject(new Error("out of memory")),
    verify: () => Promise.reject(new Error("out of memory")),
  };
  const desk = new PasswordDesk(failing);
  for (let i = 0; i < 200; i++) expect(desk.hash("x")).rejects.toThrow("out of memory");
});

/** Hashing whose end the test decides. */
class Work implements Passwords {
  #pending: (() => void)[] = [];

  get underWay(): number {
    return this.#pending.length;
  }

  finishAll(): void {
    for (const finish of this.#pending.splice(0)) finish();
  }

  hash(password: string): Promise<string> {
    return this.#until(`hash of ${password}`);
  }

  verify(password: string, hash: string): Promise<boolean> {
    return this.#until(hash === `hash of ${password}`);
  }

  #until<T>(answer: T): Promise<T> {
    return new Promise((resolve) => this.#pending.push(() => resolve(answer)));
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}
