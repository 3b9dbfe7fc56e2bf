import { describe, expect, test } from "bun:test";
import { until } from "../support/until.ts";
import { ADMIN_KEY, type LoggedIn, OpenRoute, PASSWORD } from "./open-route.ts";

const credentials = { userName: "alice", password: PASSWORD };

describe("a login", () => {
  test("of a crowd is not held up by a server that hangs", async () => {
    await using route = await OpenRoute.start({}, { servers: 2 });
    route.servers[1]!.state = "silent";
    const crowd = await Promise.all(Array.from({ length: 200 }, (_, i) => resumable(route, i + 1)));
    const placed: string[] = [];
    const all = crowd.map(async (token) => {
      const { code, dataBody } = await route.post<LoggedIn>("/login", {}, { token });
      placed.push(`${code} ${dataBody.ip}`);
    });
    await until("half are placed", () => placed.length >= 100);
    // The others wait for the server's answer, which nobody has given up yet.
    expect([placed.length, route.logged]).toEqual([100, []]);
    await Promise.all(all);
    expect(new Set(placed)).toEqual(new Set(["9000 10.0.0.1"]));
  });

  test("answers the server, and with a password also who one is and the proof of it", async () => {
    await using route = await OpenRoute.start();
    const account = await route.register("alice");
    const before = Date.now();
    const { dataBody, ...rest } = await route.post<LoggedIn>("/login", { ...credentials, device: "phone" });
    expect([rest, dataBody]).toEqual([
      { code: "9000", message: "Success", reqNo: null },
      {
        ...account,
        ip: "10.0.0.1",
        cimServerPort: 11211,
        httpPort: 8081,
        tls: false,
        webSocketUrl: "ws://10.0.0.1:8081/socket",
        sessionId: expect.stringMatching(/^[0-9a-f]{20}\.1\.[0-9a-f]{10}$/),
        token: expect.any(String),
        expiresAt: expect.any(Number),
      },
    ]);
    expect(await route.tokens.check(dataBody.token, "session")).toEqual({
      kind: "session",
      ...account,
      sessionId: dataBody.sessionId,
      device: "phone",
      bootId: "boot-1",
      issuedAt: dataBody.expiresAt - route.config.tokenMs,
      expiresAt: dataBody.expiresAt,
    });
    expect(dataBody.expiresAt).toBeGreaterThanOrEqual(before + route.config.tokenMs);
  });

  test("needs the name and the password that belong together", async () => {
    await using route = await OpenRoute.start();
    const { userId } = await route.register("alice");
    const answers = [];
    for (const body of [
      { userName: "alice" },
      { userName: "alice", password: "" },
      { userName: "alice", password: "wrong" },
      { userName: "nobody", password: PASSWORD },
      { userName: "alice", userId: userId + 1, password: PASSWORD },
      { userId, password: PASSWORD },
      { userName: "alice", userId, password: PASSWORD },
    ]) {
      answers.push((await route.post("/login", body)).code);
    }
    expect(answers).toEqual(["9100", "9100", "9100", "9100", "9100", "3000", "9000"]);
  });

  test("says the same of a wrong password and of a name nobody has", async () => {
    await using route = await OpenRoute.start();
    await route.register("alice");
    const wrong = await route.post("/login", { userName: "alice", password: "wrong" });
    expect(await route.post("/login", { userName: "nobody", password: "wrong" })).toEqual(wrong);
  });

  test("a second one is answered 5000 while the first stands, before a server is looked for", async () => {
    await using route = await OpenRoute.start();
    await route.online("alice");
    route.leases.announce({ ...route.servers[0]!.instance, full: true });
    expect(await route.post("/login", credentials)).toMatchObject({ code: "5000", dataBody: null });
  });
});

// Fault 3: login marked the user online before a server was chosen: "repeat login" for ever after.
test("a login that found no server is in nobody's way", async () => {
  await using route = await OpenRoute.start({}, { servers: 0 });
  await route.register("alice");
  const without = await route.post("/login", credentials);
  route.addServer(1);
  expect([without.code, (await route.post("/login", credentials)).code]).toEqual(["7100", "9000"]);
});

test("a login that reached no server is in nobody's way", async () => {
  await using route = await OpenRoute.start();
  await route.register("alice");
  route.servers[0]!.state = "broken";
  const without = await route.post("/login", credentials);
  route.servers[0]!.state = "up";
  expect([without.code, (await route.post("/login", credentials)).code]).toEqual(["7100", "9000"]);
});

// Fault 4: after choosing a second server because the first was unreachable, the route to the first was saved.
test("a message goes to the server that the login was given, not to the one that did not answer", async () => {
  await using route = await OpenRoute.start({}, { servers: 2 });
  route.servers[0]!.state = "broken";
  const bob = await route.online("bob");
  const admin = { token: ADMIN_KEY };
  const { userId } = await route.register("alice");
  const sent = await route.post("/p2pRoute", { userId, receiveUserId: bob.userId, msg: "hello" }, admin);
  await pushed(route);
  expect([bob.ip, sent.code, route.servers.map(({ pushes }) => pushes)]).toEqual([
    "10.0.0.2",
    "9000",
    [0, 1],
  ]);
});

// Fault 17: round robin or random with one dead server in the list made every login fail.
test.each(["round-robin", "random", "consistent-hash", "least-connections"])(
  "with one dead server of three every login is given one that answers: %s",
  async (pick) => {
    await using route = await OpenRoute.start({ CIM_PICK: pick }, { servers: 3 });
    route.servers[1]!.state = "broken";
    const given = new Set<string>();
    for (let i = 0; i < 12; i++) given.add((await route.login(`user ${i}`)).ip);
    expect([...given].sort()).toEqual(["10.0.0.1", "10.0.0.3"]);
  },
);

// Fault 16: with 2 virtual nodes the busiest of ten servers carried twice the mean.
test("a user comes back to the same server under consistent-hash", async () => {
  await using route = await OpenRoute.start({ CIM_PICK: "consistent-hash" }, { servers: 5 });
  for (const name of ["alice", "bob", "cat"]) {
    const first = await route.login(name);
    await route.post("/offLine", { userId: first.userId }, { token: first.token });
    expect((await route.login(name)).ip).toBe(first.ip);
  }
});

describe("a session is taken back with its token", () => {
  test("at once, without the password, on a server that is alive", async () => {
    await using route = await OpenRoute.start({}, { servers: 2 });
    const first = await route.online("alice", "phone");
    const { dataBody } = await route.post<LoggedIn>("/login", { device: "phone" }, { token: first.token });
    const { userId, userName, device, sessionId } = await route.tokens.check(dataBody.token, "session");
    expect({ userId, userName, device }).toEqual({
      userId: first.userId,
      userName: "alice",
      device: "phone",
    });
    expect(sessionId).not.toBe(first.sessionId);
  });

  test("not by the token of a session that another login has replaced", async () => {
    await using route = await OpenRoute.start();
    const first = await route.online("alice", "phone");
    const second = (await route.post<LoggedIn>("/login", {}, { token: first.token })).dataBody;
    await route.uplink(second.token, { case: "confirm", value: {} });
    expect(await route.post("/login", {}, { token: first.token })).toMatchObject({ code: "5000" });
  });

  test("not after it was logged out", async () => {
    await using route = await OpenRoute.start();
    const { userId, token } = await route.online("alice");
    expect(await route.post("/offLine", { userId }, { token })).toMatchObject({ code: "9000" });
    expect(await route.post("/login", {}, { token })).toMatchObject({ code: "9110" });
  });

  test("not for another user or another device", async () => {
    await using route = await OpenRoute.start();
    const { token } = await route.online("alice", "phone");
    const bob = await route.register("bob");
    const answers = [];
    for (const body of [{ userId: bob.userId }, { userName: "bob" }, { device: "laptop" }]) {
      answers.push((await route.post("/login", body, { token })).code);
    }
    expect(answers).toEqual(["9120", "9120", "9120"]);
  });
});

describe("with CIM_LOGIN_POLICY", () => {
  test("kick, the newest login wins, and the server of the older one is told", async () => {
    await using route = await OpenRoute.start({ CIM_LOGIN_POLICY: "kick" });
    await route.online("alice");
    expect(await route.post("/login", credentials)).toMatchObject({ code: "9000" });
    await pushed(route);
    expect(route.servers[0]!.pushes).toBe(1);
  });

  test("multi, each device has its session", async () => {
    await using route = await OpenRoute.start({ CIM_LOGIN_POLICY: "multi" });
    await route.online("alice", "phone");
    const laptop = await route.online("alice", "laptop");
    expect(await route.post("/login", { ...credentials, device: "laptop" })).toMatchObject({ code: "9000" });
    expect(await route.get("/onlineUser", { token: laptop.token })).toMatchObject({
      dataBody: [{ userId: laptop.userId, userName: "alice" }],
    });
  });
});

describe("registering", () => {
  test("needs a password of eight characters and at most 256 bytes, which no answer repeats", async () => {
    await using route = await OpenRoute.start();
    const answers = [];
    for (const password of [undefined, "1234567", "é".repeat(129), "12345678", "密".repeat(85)]) {
      answers.push(
        await route.post("/registerAccount", { userName: `user of ${password?.length}`, password }),
      );
    }
    expect(answers.map(({ code, message }) => [code, message])).toEqual([
      ["3000", "password is missing: want at least 8 characters (CIM_AUTH=password)"],
      ["3000", "password: 7 characters, want at least 8"],
      ["3000", "password: 258 bytes, limit 256"],
      ["9000", "Success"],
      ["9000", "Success"],
    ]);
  });

  test("a known name answers its id only with its password", async () => {
    await using route = await OpenRoute.start();
    const account = await route.register("alice");
    expect(await route.post("/registerAccount", credentials)).toMatchObject({
      code: "9000",
      dataBody: account,
    });
    expect(await route.post("/registerAccount", { ...credentials, password: "another one" })).toMatchObject({
      code: "9100",
      dataBody: null,
    });
  });

  test("of two who want a name at once, with passwords of their own, one gets it", async () => {
    await using route = await OpenRoute.start();
    const passwords = ["the first one", "the second one", "the third one"];
    const answers = await Promise.all(
      passwords.map((password) => route.post("/registerAccount", { userName: "alice", password })),
    );
    expect(answers.map(({ code }) => code).sort()).toEqual(["9000", "9100", "9100"]);
  });

  test("a password typed as other code points is the same password", async () => {
    await using route = await OpenRoute.start();
    await route.register("alice", "passwörter");
    expect(await route.post("/login", { userName: "alice", password: "passwo\u0308rter" })).toMatchObject({
      code: "9000",
    });
  });
});

describe("guessing a password", () => {
  test("is answered 6000 and how long to wait, also for the right one and for names nobody has", async () => {
    await using route = await OpenRoute.start({ CIM_MAX_FAILED_LOGINS: "3" });
    await route.register("alice");
    const codes = async (userName: string) => {
      const answers = [];
      for (const password of ["wrong 1", "wrong 2", "wrong 3", PASSWORD]) {
        answers.push(await route.post("/login", { userName, password }));
      }
      return answers.map(({ code, message }) => (code === "6000" ? message : code));
    };
    const limited = expect.stringMatching(
      /^3 wrong passwords for this account: try again in (29\d|300) seconds$/,
    );
    expect([await codes("alice"), await codes("nobody")]).toEqual([
      ["9100", "9100", "9100", limited],
      ["9100", "9100", "9100", limited],
    ]);
  });

  test("counts for registering a known name too, and many at once get no more tries than one after another", async () => {
    await using route = await OpenRoute.start({ CIM_MAX_FAILED_LOGINS: "3" });
    await route.register("alice");
    const tries = Array.from({ length: 10 }, (_, i) =>
      route.post(i % 2 ? "/login" : "/registerAccount", { userName: "alice", password: `a wrong one ${i}` }),
    );
    const codes = (await Promise.all(tries)).map(({ code }) => code).sort();
    expect(codes).toEqual([...Array(7).fill("6000"), ...Array(3).fill("9100")]);
  });

  test("does not count those who know theirs", async () => {
    await using route = await OpenRoute.start({ CIM_MAX_FAILED_LOGINS: "1", CIM_LOGIN_POLICY: "kick" });
    await route.register("alice");
    for (let i = 0; i < 5; i++) {
      expect(await route.post("/login", credentials, { from: "198.51.100.7" })).toMatchObject({
        code: "9000",
      });
    }
  });

  test("is counted for an address, whatever the account, and not for a loopback address", async () => {
    await using route = await OpenRoute.start({ CIM_MAX_FAILED_LOGINS: "1" });
    const guess = (i: number, from: string) =>
      route.post("/login", { userName: `user ${from} ${i}`, password: "wrong" }, { from });
    const codes = async (from: string) => {
      const answers = [];
      for (let i = 0; i < 11; i++) answers.push(await guess(i, from));
      return answers.at(-1)!.code;
    };
    expect([await codes("198.51.100.7"), await codes("198.51.100.8"), await codes("127.0.0.1")]).toEqual([
      "6000",
      "6000",
      "9100",
    ]);
  });

  test("is counted for the address a trusted proxy names, and not for one that a client names", async () => {
    await using route = await OpenRoute.start({ CIM_MAX_FAILED_LOGINS: "1", CIM_TRUSTED_PROXIES: "1" });
    const codes = [];
    for (let i = 0; i < 11; i++) {
      const headers = { "x-forwarded-for": `10.9.8.${i}, 198.51.100.7` };
      const body = { userName: `user ${i}`, password: "wrong" };
      codes.push((await route.post("/login", body, { from: "127.0.0.1", headers })).code);
    }
    expect(codes).toEqual([...Array(10).fill("9100"), "6000"]);
  });
});

/** Resolves once a server was pushed something. */
async function pushed(route: OpenRoute): Promise<void> {
  await until("a server is pushed something", () => route.servers.some(({ pushes }) => pushes > 0));
}

/** A token of a session on a server that is no more. */
function resumable(route: OpenRoute, userId: number): Promise<string> {
  const issuedAt = Date.now();
  return route.tokens.sign({
    kind: "session",
    userId,
    userName: `user ${userId}`,
    sessionId: `${userId.toString(16).padStart(20, "0")}.1.0123456789`,
    device: "default",
    bootId: "gone",
    issuedAt,
    expiresAt: issuedAt + route.config.tokenMs,
  });
}
