import { expect, setSystemTime, test } from "bun:test";
import { ADMIN_KEY, type LoggedIn, OpenRoute, PASSWORD } from "./open-route.ts";

const NEW = "battery staple";

function login(route: OpenRoute, userName: string, password?: string) {
  return route.post<LoggedIn>("/login", { userName, password, device: "phone" });
}

test("with the old one an account gets a new password; the old one is worth nothing then", async () => {
  await using route = await OpenRoute.start({ CIM_LOGIN_POLICY: "kick" });
  const { token } = await route.online("alice");
  const change = (body: object) => route.post("/changePassword", { password: NEW, ...body }, { token });
  const answers = [
    await change({}),
    await change({ oldPassword: "not hers at all" }),
    await change({ password: "short", oldPassword: PASSWORD }),
    await change({ oldPassword: PASSWORD }),
    await login(route, "alice", PASSWORD),
    await login(route, "alice", NEW),
    // Her session went on meanwhile.
    await route.post("/history", { peer: "all" }, { token }),
  ];
  expect(answers.map(({ code, message }) => `${code} ${message}`)).toEqual([
    "9100 oldPassword is missing: this account has one",
    "9100 oldPassword is not this account's password",
    "3000 password: 5 characters, want at least 8",
    "9000 Success",
    "9100 Account and credentials do not match",
    "9000 Success",
    "9000 Success",
  ]);
});

test("an account that was made without one gets its first, and needs it from then on", async () => {
  await using route = await OpenRoute.start({ CIM_AUTH: "open", CIM_LOGIN_POLICY: "kick" });
  const { userId } = await route.register("zoe", null);
  const { token } = (await login(route, "zoe")).dataBody;
  const answers = [
    await route.post("/changePassword", { userId, password: NEW }),
    await route.post("/changePassword", { password: NEW }, { token }),
    await login(route, "zoe"),
    await login(route, "zoe", NEW),
  ];
  expect(answers.map(({ code }) => code)).toEqual(["9110", "9000", "9100", "9000"]);
});

// For as long as the clock had stepped back, the account was taken to have none.
test("it needs it also when the clock steps back", async () => {
  await using route = await OpenRoute.start({ CIM_AUTH: "open", CIM_LOGIN_POLICY: "kick" });
  const { userId } = await route.register("zoe", null);
  const { token } = (await login(route, "zoe")).dataBody;
  const say = () => route.post("/groupRoute", { userId, msg: "hello" });
  const codes = [(await say()).code];
  await route.post("/changePassword", { password: NEW }, { token });
  try {
    setSystemTime(Date.now() - 60 * 60 * 1000);
    codes.push((await say()).code);
  } finally {
    setSystemTime();
  }
  expect(codes).toEqual(["9000", "9110"]);
});

test("only one's own, but for an API key, which needs no old one and names whose", async () => {
  await using route = await OpenRoute.start({ CIM_ADMIN_KEY: ADMIN_KEY });
  const { token } = await route.online("eve");
  const { userId } = await route.register("bob");
  const body = { userId, password: NEW, oldPassword: PASSWORD };
  const answers = [
    await route.post("/changePassword", body),
    await route.post("/changePassword", body, { token }),
    await route.post("/changePassword", { password: NEW }, { token: ADMIN_KEY }),
    await route.post("/changePassword", { userId: userId + 100, password: NEW }, { token: ADMIN_KEY }),
    await login(route, "bob", NEW),
    await route.post("/changePassword", { userId, password: NEW }, { token: ADMIN_KEY }),
    await login(route, "bob", NEW),
  ];
  expect(answers.map(({ code }) => code)).toEqual(["9110", "9120", "3000", "9100", "9100", "9000", "9000"]);
});

test("whoever is logged in elsewhere is logged out, and by an API key everyone", async () => {
  await using route = await OpenRoute.start({ CIM_LOGIN_POLICY: "multi", CIM_ADMIN_KEY: ADMIN_KEY });
  const [phone, desk] = [await route.online("alice", "phone"), await route.online("alice", "desk")];
  const whoIsIn = async () => {
    const answers = [phone, desk].map(({ token }) => route.post("/history", { peer: "all" }, { token }));
    return (await Promise.all(answers)).map(({ code }) => code);
  };
  const { userId, token } = phone;
  const codes = [await whoIsIn()];
  await route.post("/changePassword", { password: NEW, oldPassword: PASSWORD }, { token });
  codes.push(await whoIsIn());
  await route.post("/changePassword", { userId, password: PASSWORD }, { token: ADMIN_KEY });
  codes.push(await whoIsIn());
  expect(codes).toEqual([
    ["9000", "9000"],
    ["9000", "9110"],
    ["9110", "9110"],
  ]);
});

test("a token that nobody is connected with is worth nothing afterwards, its session's or one from before it", async () => {
  await using route = await OpenRoute.start({ CIM_LOGIN_POLICY: "kick" });
  await route.register("alice");
  const stolen = (await login(route, "alice", PASSWORD)).dataBody;
  const own = (await login(route, "alice", PASSWORD)).dataBody;
  const changed = await route.post(
    "/changePassword",
    { password: NEW, oldPassword: PASSWORD },
    { token: own.token },
  );
  const fresh = (await login(route, "alice", NEW)).dataBody;
  const served = async ({ token }: LoggedIn) => [
    (await route.post("/history", { peer: "all" }, { token })).code,
    (await route.post("/login", {}, { token })).code,
  ];
  expect([changed.code, await served(stolen), await served(own), await served(fresh)]).toEqual([
    "9000",
    ["9110", "9110"],
    ["9000", "9000"],
    ["9000", "9000"],
  ]);
});

// Who had the old one stayed logged in: whoever tried once more was told that the old one is another.
test("should the route die before it has told so, whoever is logged in elsewhere is logged out all the same", async () => {
  await using route = await OpenRoute.start({ CIM_LOGIN_POLICY: "multi" });
  const [phone, desk] = [await route.online("alice", "phone"), await route.online("alice", "desk")];
  const { accounts } = route.store;
  const { setPassword } = accounts;
  accounts.setPassword = async (...given) => {
    await setPassword(...given);
    throw new Error("killed");
  };
  const body = { password: NEW, oldPassword: PASSWORD };
  const { code } = await route.post("/changePassword", body, { token: phone.token });
  const answers = [phone, desk].map(({ token }) => route.post("/history", { peer: "all" }, { token }));
  expect([code, ...(await Promise.all(answers)).map((answer) => answer.code)]).toEqual([
    "4000",
    "9000",
    "9110",
  ]);
});

test("guessing the old one is slowed as at a login, and none is ever quoted", async () => {
  await using route = await OpenRoute.start({ CIM_MAX_FAILED_LOGINS: "2" });
  const { token } = await route.online("alice");
  const guess = (oldPassword: unknown) =>
    route.post("/changePassword", { password: NEW, oldPassword }, { token });
  const answers = [
    await guess("guess 1"),
    await guess("guess 2"),
    await guess(PASSWORD),
    await guess(["s3cret"]),
  ];
  expect(answers.map(({ code }) => code)).toEqual(["9100", "9100", "6000", "3000"]);
  expect(answers.map(({ message }) => /guess|s3cret/.test(message))).not.toContain(true);
});
