import { beforeEach, expect, test } from "bun:test";
import { Outbox, type Sink, Turns } from "../../common/outbox.ts";

const LIMIT = 1000;

/** A socket that takes `room` bytes in all until it gets more room. */
class Socket implements Sink {
  room = Number.POSITIVE_INFINITY;
  writes: string[] = [];
  timesEmptied = 0;

  write(bytes: Uint8Array): number {
    if (this.room < 0) return -1;
    const taken = Math.min(bytes.length, this.room);
    this.room -= taken;
    if (taken > 0) this.writes.push(new TextDecoder().decode(bytes.subarray(0, taken)));
    return taken;
  }

  emptied(): void {
    this.timesEmptied++;
  }
}

let socket: Socket;
let outbox: Outbox;
let ends: (() => void)[];

beforeEach(() => {
  ends = [];
  socket = new Socket();
  outbox = new Outbox(socket, LIMIT, new Turns((over) => ends.push(over)));
});

test("when idle, bytes are written at once", () => {
  outbox.send(text("a"));
  expect([socket.writes, outbox.unsent]).toEqual([["a"], 0]);
  endTurn();
  endTurn();
  outbox.send(text("b"));
  expect(socket.writes).toEqual(["a", "b"]);
});

test("what follows in the same turn is one write at its end", () => {
  for (const piece of ["a", "b", "c", "d"]) outbox.send(text(piece));
  expect([socket.writes, outbox.unsent]).toEqual([["a"], 3]);
  endTurn();
  expect([socket.writes, outbox.unsent, socket.timesEmptied]).toEqual([["a", "bcd"], 0, 1]);
});

test("under load there is one write a turn", () => {
  for (let turn = 0; turn < 3; turn++) {
    for (const piece of ["a", "b"]) outbox.send(text(piece));
    endTurn();
  }
  expect(socket.writes).toEqual(["a", "b", "ab", "ab"]);
});

test("with more to come, the first waits as well", () => {
  outbox.send(text("a"), true);
  outbox.send(text("b"), true);
  expect(socket.writes).toEqual([]);
  endTurn();
  expect(socket.writes).toEqual(["ab"]);
});

test("an answer is written at once and leaves the turn as it was, unless something waits", () => {
  outbox.answer(text("a"));
  outbox.answer(text("b"));
  expect([socket.writes, ends.length]).toEqual([["a", "b"], 0]);
  outbox.send(text("c"));
  outbox.answer(text("d"));
  outbox.send(text("e"));
  outbox.answer(text("f"));
  expect(socket.writes).toEqual(["a", "b", "c", "d"]);
  endTurn();
  expect(socket.writes).toEqual(["a", "b", "c", "d", "ef"]);
});

test("what a socket does not take of an answer goes out before what follows", () => {
  socket.room = 2;
  outbox.answer(text("abc"));
  expect([outbox.answer(text("d")), outbox.answer(new Uint8Array(LIMIT)), outbox.unsent]).toEqual([
    "taken",
    "slow",
    2,
  ]);
  socket.room = 100;
  outbox.drained();
  expect([socket.writes, outbox.unsent]).toEqual([["ab", "cd"], 0]);
});

test("the bytes the socket would not take go out in order when it takes bytes again", () => {
  socket.room = 3;
  outbox.send(text("abcde"));
  outbox.send(text("fg"));
  endTurn();
  expect([socket.writes, outbox.unsent]).toEqual([["abc"], 4]);
  socket.room = 1;
  outbox.drained();
  expect([socket.writes, outbox.unsent, socket.timesEmptied]).toEqual([["abc", "d"], 3, 0]);
  socket.room = 100;
  outbox.drained();
  expect([socket.writes, outbox.unsent, socket.timesEmptied]).toEqual([["abc", "d", "efg"], 0, 1]);
});

test("whatever the socket takes of each write, the stream is the same", () => {
  const pieces = Array.from({ length: 40 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat((i % 7) + 1));
  for (let step = 1; step < 12; step++) {
    const writes: string[] = [];
    const sink = {
      write: (bytes: Uint8Array) =>
        writes.push(new TextDecoder().decode(bytes.subarray(0, step))) && Math.min(bytes.length, step),
    };
    const cut = new Outbox(sink, LIMIT, new Turns((over) => ends.push(over)));
    for (const piece of pieces) cut.send(text(piece));
    endTurn();
    while (cut.unsent > 0) cut.drained();
    expect([step, writes.join("")]).toEqual([step, pieces.join("")]);
  }
});

test("beyond the limit nothing is taken and the answer is slow; up to it everything is", () => {
  socket.room = 0;
  expect([
    outbox.send(new Uint8Array(600)),
    outbox.send(new Uint8Array(400)),
    outbox.send(new Uint8Array(1)),
    outbox.unsent,
  ]).toEqual(["taken", "taken", "slow", 1000]);
  socket.room = 500;
  outbox.drained();
  expect([outbox.send(new Uint8Array(500)), outbox.send(new Uint8Array(1))]).toEqual(["taken", "slow"]);
});

test("more than fits one gathered write goes out in several, in order", () => {
  const large = new Outbox(socket, 10_000_000, new Turns((over) => ends.push(over)));
  const pieces = Array.from({ length: 300 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(1000 + i));
  for (const piece of pieces) large.send(text(piece), true);
  large.send(new Uint8Array(200_000).fill(65), true);
  endTurn();
  expect(socket.writes.join("")).toBe(`${pieces.join("")}${"A".repeat(200_000)}`);
  expect([socket.writes.length, large.unsent]).toEqual([4, 0]);
});

test("a socket that is closed takes nothing, and what waited is dropped", () => {
  socket.room = 2;
  outbox.send(text("abc"));
  socket.room = -1;
  outbox.drained();
  expect([outbox.send(text("d")), outbox.unsent, socket.writes]).toEqual(["closed", Infinity, ["ab"]]);
});

test("bytes for a socket whose end has come, which nobody has read yet, do not count as gone", () => {
  socket.room = -1;
  expect([outbox.send(text("a")), outbox.unsent]).toEqual(["closed", Infinity]);
});

test("closing drops what waits, also in the middle of a turn", () => {
  outbox.send(text("a"));
  outbox.send(text("b"));
  outbox.close();
  outbox.drained();
  endTurn();
  expect([outbox.send(text("c")), outbox.unsent, socket.writes]).toEqual(["closed", Infinity, ["a"]]);
});

test("one piece for many sockets is not copied for those that do not take it, and not changed", () => {
  const shared = text("abcdef");
  const sockets = Array.from({ length: 3 }, (_, i) => Object.assign(new Socket(), { room: i * 2 }));
  const outboxes = sockets.map((one) => new Outbox(one, LIMIT, new Turns((over) => ends.push(over))));
  for (const one of outboxes) one.send(shared);
  for (const [i, one] of outboxes.entries()) {
    sockets[i]!.room = 100;
    one.drained();
  }
  expect(sockets.map((one) => one.writes.join(""))).toEqual(["abcdef", "abcdef", "abcdef"]);
});

function endTurn(): void {
  for (const over of ends.splice(0)) over();
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
