import { expect, test } from "bun:test";
import { Sight } from "../../route/sight.ts";

function sight(...inSight: string[]): Sight {
  const sight = new Sight();
  sight.look(inSight);
  return sight;
}

test("a server in sight lacks nothing, whatever is said", () => {
  const route = sight("a");
  route.saidToEveryone();
  expect(route.look(["a"])).toEqual([]);
});

test("a server that was away while something was said to everyone lacks that, and only once", () => {
  const route = sight("a", "b");
  route.look(["a"]);
  route.saidToEveryone();
  expect([route.look(["a", "b"]), route.look(["a"]), route.look(["a", "b"])]).toEqual([
    [{ key: "b", everything: false }],
    [],
    [],
  ]);
});

test("a server that was away in silence lacks nothing", () => {
  const route = sight("a");
  route.saidToEveryone();
  route.look([]);
  expect(route.look(["a"])).toEqual([]);
});

test("a server seen for the first time lacks what was said before", () => {
  const route = sight("a");
  const quiet = route.look(["a", "b"]);
  route.saidToEveryone();
  expect([quiet, route.look(["a", "b", "c"])]).toEqual([[], [{ key: "c", everything: false }]]);
});

test("a server that something of its own passed by lacks everything", () => {
  const route = sight("a");
  route.look([]);
  route.saidToEveryone();
  route.passedBy("a");
  expect([route.look(["a"]), route.look([]), route.look(["a"])]).toEqual([
    [{ key: "a", everything: true }],
    [],
    [],
  ]);
});
