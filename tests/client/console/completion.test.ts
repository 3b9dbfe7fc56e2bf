import { expect, test } from "bun:test";
import { complete, peopleStartingWith } from "../../../client/console/completion.ts";
import type { Person } from "../../../client/console/events.ts";
import { People } from "../../../client/console/people.ts";

const NAMES = ["Alice", "albert", "al;;x", ":q", "42", "al\u202eeve", "张三"];
const everyone: Person[] = NAMES.map((userName, i) => ({ userId: i + 1, userName }));

const sources = {
  commands: [":all", ":ai", ":pu", ":delay"],
  people: async (prefix: string) => new People(() => everyone).startingWith(prefix),
};

test.each([
  [":a", [":all", ":ai"], ":a"],
  ["al", ["Alice;;", "albert;;"], "al"],
  ["张", ["张三;;"], "张"],
  [":delay AL", ["Alice;;", "albert;;"], "AL"],
  [":pu al", ["Alice", "albert"], "al"],
  // What is said is nobody's name, and an empty line everybody's.
  ["Alice;;al", [], "Alice;;al"],
  ["", [], ""],
  // Typed, these would mean a command or another account.
  [":q", [], ":q"],
  ["4", [], "4"],
])("%j is completed by %j", async (typed, offers, part) => {
  expect(await complete(typed, sources)).toEqual({ offers, part });
});

test("those online are learned, oneself is not offered, and without an answer those heard of have to do", async () => {
  const people = new People(() => [{ userId: 1, userName: "anna" }]);
  const online = {
    userId: 3,
    async *onlineUsers() {
      yield { userId: 2, userName: "anton" };
      yield { userId: 3, userName: "annegret" };
    },
  };
  const silent = {
    userId: 3,
    // biome-ignore lint/correctness/useYield: it fails before
    async *onlineUsers(): AsyncGenerator<Person> {
      throw new Error("no route");
    },
  };
  const names = async (client: typeof online) =>
    (await peopleStartingWith("an", people, client)).map(({ userName }) => userName).toSorted();
  expect([await names(silent), await names(online), await names(silent)]).toEqual([
    ["anna"],
    ["anna", "anton"],
    ["anna", "anton"],
  ]);
});
