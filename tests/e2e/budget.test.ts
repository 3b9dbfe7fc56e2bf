/**
 * What each thing that clients do may cost, counted at real processes: one route, two servers, with either engine. Time
 * is no part of it. A number that has to be raised is a decision; one that can be lowered should be.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { PROCESS_TEST_MS } from "../support/process.ts";
import { redisMissing } from "../support/redis.ts";
import { OPERATIONS, type Operation, Spenders } from "../support/spenders.ts";
import { Spending, type Spent } from "../support/spending.ts";
import { straceMissing } from "../support/syncs.ts";

setDefaultTimeout(2 * PROCESS_TEST_MS);

/** At most; what was counted when this was written; why. */
type Budget = readonly [atMost: number, counted: number, why: string];

const APPEND = "head, retries, log, place among the oldest (a first message only), mark";
const SETTLED = "the append, and later for up to 512 messages together: their slice, and the journal emptied";

/** What servers say of themselves, with either engine. */
const SERVERS: Record<Operation, Record<string, Budget>> = {
  "p2p, one by one": {
    "uplink calls": [1, 1, "nobody else has anything to say"],
    "downlink calls": [1, 1, "to the receiver's server; the other one hears nothing"],
    writes: [2, 2, "the message to its receiver, the receipt to its sender"],
    "bytes to clients": [96, 86, "a message and its receipt, of texts of eight characters"],
    "bytes from clients": [48, 37, "a Send"],
  },
  "p2p, 64 in one Send": {
    "uplink calls": [1, 1, "a Send is passed on as it came"],
    "downlink calls": [1, 1, "what is for one server goes together"],
    writes: [2, 2, "one receipt for all; what one user is pushed together is one write"],
    "bytes to clients": [5632, 5128, "a message and its part of the receipt: 80 for each"],
    "bytes from clients": [2176, 1992, "31 for each"],
  },
  "p2p to six, in one Send": {
    "uplink calls": [1, 1, "a Send is passed on as it came"],
    "downlink calls": [2, 2, "what is for one server goes together"],
    writes: [7, 7, "a message to each, and one receipt"],
    "bytes to clients": [540, 488, "to each a message, and its part of the receipt"],
    "bytes from clients": [210, 194, "32 for each"],
  },
  "p2p over HTTP": {
    "uplink calls": [0, 0, "the route has it already"],
    "downlink calls": [1, 1, "to the receiver's server"],
    writes: [1, 1, "the message; its sender has no connection"],
    "bytes to clients": [96, 81, "a message, whose id the route chose (36 characters)"],
    "bytes from clients": [0, 0, "none"],
  },
  all: {
    "uplink calls": [1, 1, "as any other"],
    "downlink calls": [2, 2, "one for each server, whoever is on it"],
    "writes beyond one for each connection": [0, 0, "each receiver the message, the sender the receipt"],
    "bytes to clients, for each connection": [56, 47, "the message"],
    "bytes from clients": [48, 33, "a Send"],
  },
  "a login": {
    "uplink calls": [2, 2, "that the connection is there, and what it missed; one if both come at once"],
    "downlink calls": [0, 0, "nobody is told"],
    writes: [2, 2, "the welcome, and the page"],
    "bytes to clients": [96, 59, "a welcome and a page with nothing in it"],
    "bytes from clients": [512, 354, "the token"],
  },
  "a heartbeat": {
    "uplink calls": [0, 0, "a heartbeat is between client and server"],
    "downlink calls": [0, 0, "none"],
    writes: [1, 1, "the answer"],
    "bytes to clients": [12, 11, "pong"],
    "bytes from clients": [12, 11, "ping, with the number that the test asks by"],
  },
  "thirty acknowledgements, one by one": {
    "uplink calls": [3, 1, "gathered for a second; more if a second ends in between"],
    "downlink calls": [0, 0, "none"],
  },
  "ten acknowledgements": {
    "uplink calls": [1, 1, "what one connection acknowledges in a second goes together"],
    "downlink calls": [0, 0, "none"],
    writes: [0, 0, "an acknowledgement has no answer"],
    "bytes to clients": [0, 0, "none"],
    "bytes from clients": [200, 190, "19 for each"],
  },
};

/** Commands that scripts run are counted, too. */
const REDIS: Record<Operation, Record<string, Budget>> = {
  "p2p, one by one": {
    appends: [1, 1, "one script"],
    "commands of the largest append": [5, 4, APPEND],
    "Redis commands": [
      10,
      9,
      "the append (5), the receiver's sessions (2), the mark off (2); that the account exists is remembered",
    ],
  },
  "p2p, 64 in one Send": {
    appends: [1, 1, "what comes together is appended together"],
    "commands of the largest append": [6, 5, "of many messages as of one, but for looking for retries first"],
    "Redis commands": [11, 10, "of many messages as of one, but for looking for retries first"],
  },
  "p2p to six, in one Send": {
    appends: [1, 1, "what comes together is appended together"],
    "commands of the largest append": [22, 19, "head, retries, log of each; one mark"],
    "Redis commands": [26, 24, "the append (20), which sessions changed (2), the mark off (2)"],
  },
  "p2p over HTTP": {
    appends: [1, 1, "one script"],
    "commands of the largest append": [5, 4, APPEND],
    "Redis commands": [12, 11, "as over a connection, and the sender's account (2)"],
  },
  all: {
    appends: [1, 1, "one, whoever receives it"],
    "commands of the largest append": [5, 4, APPEND],
    "Redis commands": [8, 7, "nobody's session is looked up"],
  },
  "a login": {
    "Redis commands": [
      38,
      36,
      "account, claim, confirmation, that sessions changed (2), CIM v2's keys after both, and what was missed",
    ],
  },
  "a heartbeat": { "Redis commands": [0, 0, "none"] },
  "thirty acknowledgements, one by one": { "Redis commands": [24, 8, "as many times as there are calls"] },
  "ten acknowledgements": {
    "Redis commands": [
      8,
      8,
      "two scripts: is there such a message, and the cursor, of the device and of all",
    ],
  },
};

/** Pages are those of the write-ahead log, of 8 KiB; `syncs` is the route waiting for the disk. */
const SQLITE: Record<Operation, Record<string, Budget>> = {
  "p2p, one by one": {
    "journal rows": [1, 1, "a batch is a row"],
    transactions: [3, 1.25, SETTLED],
    "pages written": [14, 4, "three for the append; the rest is shared by what settles together"],
    syncs: [1, 1, "accepted means on the disk"],
  },
  "p2p, 64 in one Send": {
    "journal rows": [1, 1, "a batch is a row"],
    transactions: [3, 3, SETTLED],
    "pages written": [32, 17, "of many messages little more than of one: they lie side by side"],
    syncs: [1, 1, "once for all of them"],
  },
  "p2p to six, in one Send": {
    "journal rows": [1, 1, "a batch is a row"],
    transactions: [3, 3, SETTLED],
    "pages written": [32, 13, "of each conversation its own pages, once it settles"],
    syncs: [1, 1, "once for all of them"],
  },
  "p2p over HTTP": {
    "journal rows": [1, 1, "as over a connection"],
    transactions: [3, 3, SETTLED],
    "pages written": [14, 10, "as over a connection, alone"],
    syncs: [1, 1, "as over a connection"],
  },
  all: {
    "journal rows": [1, 1, "one, whoever receives it"],
    transactions: [3, 3, SETTLED],
    "pages written": [14, 10, "one message"],
    syncs: [1, 1, "one"],
  },
  "a login": {
    "journal rows": [0, 0, "no message"],
    transactions: [3, 3, "the device's place in all, the claim, the confirmation"],
    "pages written": [6, 3, "one for each"],
    syncs: [0, 0, "a power cut costs a login, and no message"],
  },
  "a heartbeat": {
    transactions: [0, 0, "none"],
    syncs: [0, 0, "none"],
  },
  "thirty acknowledgements, one by one": {
    transactions: [3, 1, "as many as there are calls"],
    syncs: [0, 0, "none"],
  },
  "ten acknowledgements": {
    "journal rows": [0, 0, "no message"],
    transactions: [1, 1, "all that a call brings"],
    "pages written": [2, 1, "a cursor"],
    syncs: [0, 0, "what a power cut takes is read once more"],
  },
};

const FEW = 8;
const MANY = 40;

for (const [engine, missing, open, own] of [
  ["Redis", redisMissing, () => Spending.redis(), REDIS],
  ["SQLite", null, () => Spending.sqlite(), SQLITE],
] as const) {
  describe.skipIf(missing !== null)(missing ?? `with ${engine}, ${FEW} online as ${MANY}`, () => {
    let spending: Spending;
    let few: Record<Operation, Spent>;
    let many: Record<Operation, Spent>;

    beforeAll(async () => {
      spending = await open();
      const spenders = await Spenders.open(spending, FEW);
      few = await spenders.spent();
      await spenders.grow(MANY);
      many = await spenders.spent();
    });

    afterAll(() => spending?.[Symbol.asyncDispose]());

    /** What was more than it may be: counted with few and with many online. */
    function over(operation: Operation, isLookedAt: (what: string) => boolean): string[] {
      const budgets = Object.entries({ ...SERVERS[operation], ...own[operation] });
      return budgets.flatMap(([what, [atMost]]) => {
        const counted = [few[operation][what], many[operation][what]];
        if (!isLookedAt(what) || counted.every((count) => count !== undefined && count <= atMost)) return [];
        return [`${what}: ${counted.join(" and ")}, at most ${atMost}`];
      });
    }

    for (const operation of OPERATIONS) {
      test(`${operation} costs no more than it may`, () => {
        expect(over(operation, (what) => what !== "syncs")).toEqual([]);
      });
      if (!("syncs" in own[operation])) continue;
      test.skipIf(straceMissing !== null)(
        straceMissing ?? `${operation} waits for the disk no more often than it may`,
        () => expect(over(operation, (what) => what === "syncs")).toEqual([]),
      );
    }
  });
}
