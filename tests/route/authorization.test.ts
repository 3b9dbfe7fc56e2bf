/** Fault 21: anyone could send as anyone, log anyone off and read anyone's queue. */
import { afterAll, beforeAll, expect, setSystemTime, test } from "bun:test";
import { Tokens } from "../../common/token.ts";
import { ADMIN_KEY, type LoggedIn, OpenRoute, SECRET } from "./open-route.ts";

let route: OpenRoute;
let ann: LoggedIn;
let bob: LoggedIn;

beforeAll(async () => {
  route = await OpenRoute.start();
  ann = await route.online("ann");
  bob = await route.online("bob");
});
afterAll(() => route[Symbol.asyncDispose]());

/** Every call that acts for ann. */
const forAnn = (): [string, object][] => [
  ["/p2pRoute", { userId: ann.userId, receiveUserId: bob.userId, msg: "x" }],
  ["/groupRoute", { userId: ann.userId, msg: "x" }],
  ["/fetchOfflineMsgs", { receiveUserId: ann.userId }],
  ["/history", { userId: ann.userId, peer: bob.userId }],
  ["/offLine", { userId: ann.userId }],
];

async function codes(options: { token?: string; headers?: Record<string, string> }): Promise<string[]> {
  const answers = [];
  for (const [path, body] of forAnn()) answers.push((await route.post(path, body, options)).code);
  return answers;
}

const all = (code: string) => forAnn().map(() => code);

test("nobody acts for a user without a token", async () => {
  expect(await codes({})).toEqual(all("9110"));
});

test("nobody acts for another user", async () => {
  expect(await codes({ token: bob.token })).toEqual(all("9120"));
});

test("a token is taken in any form that the header may have, each time", async () => {
  const mine = ["/history", { userId: ann.userId, peer: bob.userId }] as const;
  const forms = [`Bearer ${ann.token}`, `bearer ${ann.token}`, `Bearer    ${ann.token}`, ann.token];
  const answers = [];
  for (const authorization of [...forms, ...forms])
    answers.push((await route.post(...mine, { headers: { authorization } })).code);
  const once = ["9000", "9000", "9000", "9110"];
  expect(answers).toEqual([...once, ...once]);
});

test("a token that is bent, cut, expired, signed with another secret or made for something else is refused", async () => {
  const session = await route.tokens.check(ann.token, "session");
  const [prefix, payload, signature] = ann.token.split(".") as [string, string, string];
  const forged = btoa(JSON.stringify({ ...session, userId: bob.userId })).replaceAll("=", "");
  const refused = {
    "another payload": `${prefix}.${forged}.${signature}`,
    cut: ann.token.slice(0, -2),
    "without a signature": `${prefix}.${payload}.`,
    "with more": `${ann.token}.x`,
    expired: await route.tokens.sign({ ...session, expiresAt: Date.now() - 1 }),
    "of another secret": await new Tokens(`not ${SECRET}`).sign(session),
    "of a server": await route.tokens.sign({
      kind: "service",
      role: "server",
      expiresAt: Date.now() + 60_000,
    }),
    "a wrong key": `${ADMIN_KEY}x`,
  };
  const answers: Record<string, string[]> = {};
  for (const [name, token] of Object.entries(refused)) answers[name] = await codes({ token });
  expect(answers).toEqual(Object.fromEntries(Object.keys(refused).map((name) => [name, all("9110")])));
});

test("a token that was accepted before is refused once it has expired", async () => {
  const session = await route.tokens.check(ann.token, "session");
  const token = await route.tokens.sign({ ...session, expiresAt: Date.now() + 60_000 });
  const before = (await route.get("/onlineUser", { token })).code;
  setSystemTime(Date.now() + 60_001);
  const after = (await route.get("/onlineUser", { token })).code;
  setSystemTime();
  expect([before, after]).toEqual(["9000", "9110"]);
});

test("another kind of Authorization is refused, also where none is needed", async () => {
  const headers = { authorization: `Basic ${btoa("ann:correct horse")}` };
  expect(await codes({ headers })).toEqual(all("9110"));
  expect(
    await route.post("/login", { userName: "ann", password: "correct horse" }, { headers }),
  ).toMatchObject({
    code: "9110",
    message: "Authorization: want Bearer <token>",
  });
});

test("who is online and who there is are for those who have a token", async () => {
  const answers = [];
  for (const path of ["/onlineUser", "/account?name=bob"]) {
    for (const token of [undefined, "x", ann.token, ADMIN_KEY])
      answers.push((await route.get(path, { token })).code);
  }
  expect(answers).toEqual(["9110", "9110", "9000", "9000", "9110", "9110", "9000", "9000"]);
});

test("the token of a session that was logged out is over, and no other", async () => {
  const cat = await route.login("cat");
  const dan = await route.login("dan");
  await route.post("/offLine", { userId: cat.userId }, { token: cat.token });
  const answers = [];
  for (const { userId, token } of [cat, dan]) {
    answers.push((await route.post("/groupRoute", { userId, msg: "x" }, { token })).code);
  }
  expect(answers).toEqual(["9110", "9000"]);
});

// Fault 5: a late offline call from the old server deleted the new session's route.
test("a late logout with the token of an earlier session leaves the new one alone", async () => {
  const first = await route.online("eve");
  const second = (await route.post<LoggedIn>("/login", {}, { token: first.token })).dataBody;
  await route.uplink(second.token, { case: "confirm", value: {} });
  expect(await route.post("/offLine", { userId: first.userId }, { token: first.token })).toMatchObject({
    code: "9000",
  });
  const body = { userId: ann.userId, receiveUserId: first.userId, msg: "still there?" };
  expect(await route.post("/p2pRoute", body, { token: ann.token })).toMatchObject({ code: "9000" });
});

test("the admin key acts for anyone: sends, reads, logs in and off", async () => {
  const admin = { token: ADMIN_KEY };
  const fay = await route.register("fay");
  const answers = [
    await route.post("/login", { userName: "fay" }, admin),
    await route.post("/p2pRoute", { userId: fay.userId, receiveUserId: bob.userId, msg: "x" }, admin),
    await route.post("/history", { userId: fay.userId, peer: bob.userId }, admin),
    await route.post("/offLine", { userId: fay.userId }, admin),
    await route.post("/groupRoute", { userId: 999_999, msg: "x" }, admin),
  ];
  expect(answers.map(({ code }) => code)).toEqual(["9000", "9000", "9000", "9000", "9100"]);
});

// Every wrong key was "the token is malformed", also where no key was set.
test("a wrong key is told from a token, and from none being set", async () => {
  await using keyless = await OpenRoute.start({ CIM_ADMIN_KEY: "" });
  const body = { userId: ann.userId, msg: "x" };
  const answers = [
    await route.post("/groupRoute", body, { token: `${ADMIN_KEY}x` }),
    await keyless.post("/groupRoute", body, { token: ADMIN_KEY }),
    await route.post("/groupRoute", body, { token: "cim1.x" }),
  ];
  expect(answers.map(({ code, message }) => `${code} ${message}`)).toEqual([
    "9110 Authorization: not a token, nor this route's CIM_ADMIN_KEY",
    "9110 Authorization: not a token, and this route has no CIM_ADMIN_KEY",
    "9110 the token is malformed",
  ]);
});

test("without an admin key set, no key is one", async () => {
  await using keyless = await OpenRoute.start({ CIM_ADMIN_KEY: "" });
  const { userId } = await keyless.register("ann");
  const headers = { authorization: "Bearer " };
  expect([
    (await keyless.post("/groupRoute", { userId, msg: "x" }, { headers })).code,
    (await keyless.post("/groupRoute", { userId, msg: "x" }, { token: ADMIN_KEY })).code,
  ]).toEqual(["9110", "9110"]);
});
