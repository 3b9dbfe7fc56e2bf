import { expect, test } from "bun:test";
import type { User } from "../../../client/sdk/types.ts";
import { PAGE_PEOPLE, People, type PeopleSource } from "../../../client/web/people.ts";

const ME = 1;
const crowd = (count: number): User[] =>
  Array.from({ length: count }, (_, i) => ({ userId: i + 1, userName: `user ${i + 1}` }));

/** A route that says who is online, and how many it was asked to name. */
function source(online: User[]) {
  const asked = { users: 0 };
  const answers: PeopleSource = {
    async *onlineUsers({ prefix = "" }) {
      for (const user of online.filter(({ userName }) => userName.startsWith(prefix))) {
        asked.users++;
        yield user;
      }
    },
    findUser: async (name) => (name === "away" ? { userId: 99, userName: "away" } : null),
  };
  return { asked, answers };
}

test("no more are read than are shown, and who looks is not among them", async () => {
  const people = new People();
  const { asked, answers } = source(crowd(300));
  await people.refresh(answers, ME);
  expect([people.list.length, people.list[0]!.userId, people.more, asked.users]).toEqual([
    PAGE_PEOPLE,
    2,
    true,
    PAGE_PEOPLE + 2,
  ]);
  await people.showMore(answers, ME);
  expect([people.list.length, people.more]).toEqual([2 * PAGE_PEOPLE, true]);
});

test("who is missing in a whole list is offline, in a part of it nobody knows", async () => {
  const people = new People();
  people.online.set(77, true);
  await people.refresh(source(crowd(300)).answers, ME);
  expect(people.online.get(77)).toBe(true);
  await people.refresh(source(crowd(3)).answers, ME);
  expect([77, 2, 3].map((userId) => people.online.get(userId))).toEqual([false, true, true]);
});

test("names are found among those online by how they begin, and elsewhere as a whole", async () => {
  const people = new People();
  const { answers } = source(crowd(30));
  expect((await people.find(answers, "user 2", ME)).list.map(({ userId }) => userId)).toEqual([
    2, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
  ]);
  expect((await people.find(answers, "away", ME)).list).toEqual([{ userId: 99, userName: "away" }]);
  expect((await people.find(answers, "nobody", ME)).list).toEqual([]);
});
