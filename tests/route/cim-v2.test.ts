/** CIM v2's calls in `open` mode: exact answers, with no field its Java peers do not know. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Account, OpenRoute } from "./open-route.ts";

let route: OpenRoute;
let ann: Account;
let bob: Account;

beforeAll(async () => {
  route = await OpenRoute.start({ CIM_AUTH: "open" });
  ann = await route.register("ann", null);
  bob = await route.register("bob", null);
});
afterAll(() => route[Symbol.asyncDispose]());

const ok = (dataBody: unknown) => ({ code: "9000", message: "Success", reqNo: null, dataBody });
const failed = (code: string) => ({ code, message: expect.any(String), reqNo: null, dataBody: null });

test("the same name again, in any spelling of it, gets the same id; another name gets another", async () => {
  const first = await route.post<Account>("/registerAccount", { userName: "Zoë" });
  expect(first).toEqual(ok({ userId: expect.any(Number), userName: "Zoë" }) as typeof first);
  expect(await route.post<Account>("/registerAccount", { userName: " Zoe\u0308 " })).toEqual(first);
  expect((await route.register("zoë", null)).userId).not.toBe(first.dataBody.userId);
});

test("a login is answered where the server is, a second one 5000", async () => {
  expect(await route.post("/login", ann)).toEqual(
    ok({ ip: "10.0.0.1", cimServerPort: 11211, httpPort: 8081 }),
  );
  expect(await route.post("/login", ann)).toEqual(failed("5000"));
});

test("a login under an unknown name, an unknown id or another's id is answered 9100", async () => {
  const { userId } = bob;
  const answers = [];
  for (const body of [
    { userId, userName: "nobody" },
    { userId: 999_999, userName: "bob" },
    { userId: ann.userId, userName: "bob" },
  ]) {
    answers.push(await route.post("/login", body));
  }
  expect(answers).toEqual([failed("9100"), failed("9100"), failed("9100")]);
});

test("an account whose name another one has is logged in by its id", async () => {
  const { userId } = await route.register("a name of two", null);
  const { byId } = route.store.accounts;
  route.store.accounts.byId = async (id) =>
    id === 77 ? { userId: 77, userName: "a name of two ", passwordHash: null } : byId(id);
  const login = (userId: number) => route.post("/login", { userId, userName: "a name of two" });
  expect([(await login(77)).code, (await login(userId)).code]).toEqual(["9000", "9000"]);
  route.store.accounts.byId = byId;
});

test("logging off frees the account, and is answered 9000 for an unknown user too", async () => {
  const user = await route.register("off and on", null);
  await route.post("/login", user);
  expect(await route.post("/offLine", { userId: user.userId, msg: "offLine" })).toEqual(ok(null));
  expect(await route.post("/login", user)).toMatchObject({ code: "9000" });
  expect(await route.post("/offLine", { userId: 999_999, msg: "offLine" })).toEqual(ok(null));
});

test("a message to someone offline is answered 7000, one and a batch", async () => {
  const to = { userId: ann.userId, receiveUserId: bob.userId };
  expect(await route.post("/p2pRoute", { ...to, msg: "hello" })).toEqual(failed("7000"));
  expect(await route.post("/p2pRoute", { ...to, batchMsg: ["a", "b"] })).toEqual(failed("7000"));
});

test("a message to everyone is answered 9000", async () => {
  expect(await route.post("/groupRoute", { userId: ann.userId, msg: "hello" })).toEqual(ok(null));
});

test("a sender who has no account is answered 9100", async () => {
  const answers = [
    await route.post("/groupRoute", { userId: 999_999, msg: "hello" }),
    await route.post("/p2pRoute", { userId: 999_999, receiveUserId: bob.userId, msg: "hello" }),
  ];
  expect(answers).toEqual([failed("9100"), failed("9100")]);
});

test("fetching what was kept is answered 9000, also for an unknown user", async () => {
  expect(await route.post("/fetchOfflineMsgs", { receiveUserId: bob.userId })).toEqual(ok(null));
  expect(await route.post("/fetchOfflineMsgs", { receiveUserId: 999_999 })).toEqual(ok(null));
});

test("the users online are a plain list", async () => {
  expect(await route.get("/onlineUser")).toEqual(ok([]));
});

test("reqNo is answered as it was sent, with an error too; fields nobody knows are passed over", async () => {
  const answers = [
    await route.post("/groupRoute", {
      userId: ann.userId,
      msg: "x",
      reqNo: "r-1",
      timeStamp: 1_700_000_000,
      more: {},
    }),
    await route.post("/groupRoute", { userId: "ann", msg: "x", reqNo: "r-2" }),
    await route.post("/login", { userId: bob.userId, userName: "ann", reqNo: "r-3" }),
    await route.post("/registerAccount", { userName: "bob", reqNo: null }),
  ];
  expect(answers.map(({ code, reqNo }) => [code, reqNo])).toEqual([
    ["9000", "r-1"],
    ["3000", "r-2"],
    ["9100", "r-3"],
    ["9000", null],
  ]);
});

test("null counts as a field left out: Java peers write it for what they do not set", async () => {
  const to = { userId: ann.userId, receiveUserId: bob.userId, reqNo: null, timeStamp: null };
  expect(await route.post("/p2pRoute", { ...to, msg: "hello", batchMsg: null })).toEqual(failed("7000"));
  expect(await route.post("/p2pRoute", { ...to, msg: null, batchMsg: ["a"] })).toEqual(failed("7000"));
});

test("every answer is HTTP 200 and JSON that no cache keeps", async () => {
  const response = await route.fetch("/login", { method: "POST", body: "{" });
  expect([
    response.status,
    response.headers.get("content-type"),
    response.headers.get("cache-control"),
  ]).toEqual([200, "application/json", "no-store"]);
});

// Fault 21: two registrations in one millisecond shared an id.
test("many registrations at once get an id each, and one name asked for many times at once gets one", async () => {
  const names = Array.from({ length: 50 }, (_, i) => `crowd ${i}`);
  const ids = await Promise.all(names.map(async (name) => (await route.register(name, null)).userId));
  const same = await Promise.all(names.map(async () => (await route.register("wanted by all", null)).userId));
  expect([new Set(ids).size, new Set(same).size]).toEqual([50, 1]);
});

// Fault 21: a user named `cim-route:1` broke every group message, one named `login-status` broke login.
test("no name breaks anything: not CIM v2's keys, nor what means something elsewhere", async () => {
  const names = [
    `cim-route:${ann.userId}`,
    "login-status",
    `cim-account:${ann.userId}`,
    "__proto__",
    "constructor",
  ];
  for (const userName of [
    ...names,
    "a' OR '1'='1",
    "<script>alert(1)</script>",
    "$(reboot)",
    "%s%n",
    "../..",
  ]) {
    const user = await route.register(userName, null);
    expect(user).toEqual({ userId: expect.any(Number), userName });
    expect(await route.post("/login", user)).toMatchObject({ code: "9000" });
    expect(await route.post("/groupRoute", { userId: user.userId, msg: userName })).toEqual(ok(null));
  }
  expect(await route.post("/groupRoute", { userId: ann.userId, msg: "still there" })).toEqual(ok(null));
});

// Fault 21, in the one mode where it can be: who has a password needs it also where others need none.
test("an account with a password is nobody's without it", async () => {
  const eve = await route.register("eve");
  const to = { receiveUserId: bob.userId, msg: "x" };
  const answers = [
    await route.post("/registerAccount", { userName: "eve" }),
    await route.post("/registerAccount", { userName: "eve", password: "a wrong one" }),
    await route.post("/login", eve),
    await route.post("/login", { ...eve, password: "a wrong one" }),
    await route.post("/p2pRoute", { userId: eve.userId, ...to }),
    await route.post("/groupRoute", { userId: eve.userId, msg: "x" }),
    await route.post("/offLine", { userId: eve.userId }),
    await route.post("/fetchOfflineMsgs", { receiveUserId: eve.userId }),
  ];
  expect(answers.map(({ code }) => code)).toEqual([
    "9100",
    "9100",
    "9100",
    "9100",
    "9110",
    "9110",
    "9110",
    "9110",
  ]);
});

test("a password is not added to an account that has none", async () => {
  await route.register("plain", null);
  expect(
    await route.post("/registerAccount", { userName: "plain", password: "correct horse" }),
  ).toMatchObject({
    code: "9100",
  });
});
