import { expect, test } from "bun:test";
import { ConnectionEnd } from "../../../client/sdk/connection.ts";
import { Plan, renewalMs, STEADY_MS } from "../../../client/sdk/plan.ts";
import { CimError, GOODBYES, type GoodbyeReason, type StatusName } from "../../../proto/status.ts";

const LOST = new ConnectionEnd("lost", "connection reset");

function goodbye(reason: GoodbyeReason): ConnectionEnd {
  return new ConnectionEnd(reason, GOODBYES[reason].text, GOODBYES[reason].advice);
}

/** A plan of a client that is connected. */
function connected({ password = true } = {}): Plan {
  const plan = new Plan("login", password);
  plan.loggedIn();
  return plan;
}

/** What is tried after each failure; a number is how long the connection held before it. */
function steps(plan: Plan, failures: (ConnectionEnd | StatusName | [ConnectionEnd, number])[]): unknown[] {
  return failures.map((failure) => {
    const over = Array.isArray(failure)
      ? plan.failed(...failure)
      : plan.failed(typeof failure === "string" ? new CimError(failure) : failure);
    return over ? over.reason : plan.step;
  });
}

test("a lost connection is looked for at the same server first, then through the route", () => {
  expect(steps(connected(), [[LOST, 5], LOST, LOST])).toEqual(["connect", "connect", "resume"]);
});

test("while the route does not answer, the server gets every other try", () => {
  const outage = [LOST, LOST, "FALLBACK", LOST, "FALLBACK", LOST] as const;
  expect(steps(connected(), [...outage])).toEqual([
    "connect",
    "resume",
    "connect",
    "resume",
    "connect",
    "resume",
  ]);
});

test("a server that does not know the token is not asked again", () => {
  const steps1 = steps(connected(), [goodbye("wrong_server"), "FALLBACK", "NO_SERVER", "REPEAT_LOGIN"]);
  expect(steps1).toEqual(["resume", "resume", "resume", "resume"]);
});

test("a token that is refused leaves the password, and without one the end", () => {
  const refusals = [goodbye("session_over"), "UNAUTHORIZED", "FALLBACK", "ACCOUNT_MISMATCH"] as const;
  expect([
    steps(connected(), [...refusals]),
    steps(connected({ password: false }), [...refusals.slice(0, 2)]),
    steps(new Plan("resume", true), ["UNAUTHORIZED"]),
    steps(new Plan("resume", false), ["UNAUTHORIZED"]),
  ]).toEqual([["resume", "login", "login", "refused"], ["resume", "refused"], ["login"], ["refused"]]);
});

test("a token is renewed through the route; while that does not answer, the server still knows the old one", () => {
  const plan = connected({ password: false });
  plan.renew();
  expect([plan.step, ...steps(plan, ["FALLBACK", LOST, LOST])]).toEqual([
    "resume",
    "connect",
    "connect",
    "resume",
  ]);
});

test("a token is renewed between half and three quarters of its life, whatever the clocks say", () => {
  const hourMs = 60 * 60 * 1000;
  const dayMs = 24 * hourMs;
  const at = (leftMs: number) => [0, 1].map((random) => renewalMs(leftMs, random));
  expect([at(7 * dayMs), at(-dayMs), at(365 * dayMs)]).toEqual([
    [3.5 * dayMs, 5.25 * dayMs],
    [hourMs, hourMs],
    [20 * dayMs, 20 * dayMs],
  ]);
});

test("each goodbye is followed by what it advises", () => {
  const next = Object.keys(GOODBYES).map((reason) => [
    reason,
    ...steps(connected({ password: false }), [[goodbye(reason as GoodbyeReason), 5]]),
  ]);
  expect(Object.fromEntries(next)).toEqual({
    shutdown: "connect",
    slow: "connect",
    silent: "connect",
    full: "resume",
    unavailable: "connect",
    replaced: "replaced",
    wrong_server: "resume",
    session_over: "resume",
    kicked: "kicked",
    logged_out: "logged_out",
    bad_token: "bad_token",
    bad_frame: "bad_frame",
    no_login: "connect",
  });
});

test("an expired token is no end for who has the password", () => {
  expect(steps(connected(), [goodbye("bad_token")])).toEqual(["login"]);
});

test("failures are counted until a connection holds", () => {
  const plan = connected();
  const attempts = [LOST, LOST, LOST].map((end) => {
    plan.failed(end);
    return plan.attempt;
  });
  plan.failed(LOST, STEADY_MS - 1);
  attempts.push(plan.attempt);
  plan.failed(LOST, STEADY_MS);
  expect([...attempts, plan.attempt]).toEqual([1, 2, 3, 4, 1]);
});
