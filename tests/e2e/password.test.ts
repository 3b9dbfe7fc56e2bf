/** `password` mode: nobody acts as another (CIM's fault 21, tests/README.md). */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import { type SessionToken, Tokens } from "../../common/token.ts";
import { encodeFrame, FrameReader } from "../../proto/frame.ts";
import { Command, FrameSchema } from "../../proto/gen/cim_pb.ts";
import { encodeV2, V2_COMMAND } from "../support/cim-v2-wire.ts";
import { PROCESS_TEST_MS } from "../support/process.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { System } from "../support/system.ts";

setDefaultTimeout(PROCESS_TEST_MS);

const SECRET = "the-secret-of-these-tests";
const PASSWORD = "correct horse battery";
const MAX_FAILED_LOGINS = 4;

interface User {
  userId: number;
  userName: string;
  token: string;
}

interface Answer {
  code: string;
  message: string;
  dataBody: unknown;
}

let system: System;
let ann: User;
let bob: User;

beforeAll(async () => {
  system = await System.start({
    env: { CIM_SECRET: SECRET, CIM_MAX_FAILED_LOGINS: String(MAX_FAILED_LOGINS) },
  });
  ann = await join("ann");
  bob = await join("bob");
});
afterAll(() => system?.end());

/** Every call that acts for a user, as ann would make it. */
const CALLS: Record<string, () => { path: string; body?: unknown }> = {
  "/p2pRoute": () => ({
    path: "/p2pRoute",
    body: { userId: ann.userId, receiveUserId: bob.userId, msg: "x" },
  }),
  "/p2pRoute of a batch": () => ({
    path: "/p2pRoute",
    body: { userId: ann.userId, receiveUserId: bob.userId, batchMsg: ["x", "y"] },
  }),
  "/groupRoute": () => ({ path: "/groupRoute", body: { userId: ann.userId, msg: "x" } }),
  "/fetchOfflineMsgs": () => ({ path: "/fetchOfflineMsgs", body: { receiveUserId: ann.userId } }),
  "/history": () => ({ path: "/history", body: { userId: ann.userId, peer: bob.userId } }),
  "/offLine": () => ({ path: "/offLine", body: { userId: ann.userId, msg: "offLine" } }),
};

/** Proofs that are none, and what each is answered. */
const PROOFS: Record<string, { proof: () => Promise<string | null>; code: string }> = {
  "no token": { proof: async () => null, code: "9110" },
  "an expired token": { proof: async () => changed(SECRET, { expiresAt: Date.now() - 1 }), code: "9110" },
  "a token with a bent signature": { proof: async () => bent(ann.token), code: "9110" },
  "a token whose user was changed": { proof: async () => withUser(bob.token, ann.userId), code: "9110" },
  "a token signed with another secret": {
    proof: async () => changed("another-secret-altogether", {}),
    code: "9110",
  },
  "a service token": {
    proof: () => new Tokens(SECRET).sign({ kind: "service", role: "route", expiresAt: Date.now() + 60_000 }),
    code: "9110",
  },
  "a word that is no token": { proof: async () => "admin", code: "9110" },
  "another user's token": { proof: async () => bob.token, code: "9120" },
};

for (const [call, request] of Object.entries(CALLS)) {
  describe(`${call} refuses`, () => {
    for (const [name, { proof, code }] of Object.entries(PROOFS)) {
      test(name, async () => {
        const { path, body } = request();
        expect(await post(path, body, await proof())).toMatchObject({ code, dataBody: null });
      });
    }
  });
}

for (const path of ["/onlineUser", "/account?name=bob"]) {
  test(`${path} refuses whoever proves to be nobody`, async () => {
    for (const [name, { proof, code }] of Object.entries(PROOFS)) {
      if (code !== "9110") continue;
      expect([name, await get(path, await proof())]).toEqual([name, expect.objectContaining({ code })]);
    }
  });
}

test("after all of that nothing was sent, and with her own token ann is served", async () => {
  const history = await post("/history", { userId: ann.userId, peer: bob.userId }, ann.token);
  expect(history).toMatchObject({ code: "9000", dataBody: { messages: [] } });
  const all = await post("/history", { userId: ann.userId, peer: "all" }, ann.token);
  expect(all).toMatchObject({ code: "9000", dataBody: { messages: [] } });
  const sent = await post(
    "/p2pRoute",
    { userId: ann.userId, receiveUserId: bob.userId, msg: "x" },
    ann.token,
  );
  expect(sent.code).toBeOneOf(["9000", "7000"]);
});

test("nobody reads a conversation they are not part of", async () => {
  const cat = await join("cat");
  const [low, high] = [ann.userId, bob.userId].sort((a, b) => a - b);
  const answer = await post("/history", { userId: cat.userId, peer: `p2p:${low}:${high}` }, cat.token);
  expect(answer).toMatchObject({ code: "9120", dataBody: null });
});

test("a token is refused once its session was logged out", async () => {
  const dan = await join("dan");
  expect((await post("/offLine", { userId: dan.userId }, dan.token)).code).toBe("9000");
  expect((await post("/groupRoute", { userId: dan.userId, msg: "x" }, dan.token)).code).toBe("9110");
  expect(await tcpLogin(dan.token)).toMatchObject({ reason: "logged_out" });
});

/** What each login over TCP is told before the connection ends; a CIM v2 login is told nothing. */
const TCP: Record<string, { login: () => Promise<string | Uint8Array>; goodbye: string | null }> = {
  "a CIM v2 login, which has no token": {
    login: async () => encodeV2({ cmd: V2_COMMAND.LOGIN_REQUEST, requestId: ann.userId, reqMsg: "ann" }),
    goodbye: null,
  },
  "an empty token": { login: async () => "", goodbye: "bad_token" },
  "an expired token": {
    login: () => changed(SECRET, { expiresAt: Date.now() - 1 }),
    goodbye: "session_over",
  },
  "a token with a bent signature": { login: async () => bent(ann.token), goodbye: "bad_token" },
  "a token whose user was changed": {
    login: async () => withUser(bob.token, ann.userId),
    goodbye: "bad_token",
  },
  "a service token": {
    login: PROOFS["a service token"]!.proof as () => Promise<string>,
    goodbye: "bad_token",
  },
  "a token for another start of the server": {
    login: () => changed(SECRET, { bootId: "another" }),
    goodbye: "wrong_server",
  },
};

for (const [name, { login, goodbye }] of Object.entries(TCP)) {
  test(`the TCP login refuses ${name}`, async () => {
    const end = await tcpLogin(await login());
    if (goodbye === null) expect(end).toBeNull();
    else expect(end).toMatchObject({ reason: goodbye });
  });
}

test("pushing through a server, and calls between roles, take more than a user's token", async () => {
  const push = { userId: bob.userId, msg: "x", cmd: "MESSAGE", properties: {} };
  for (const proof of [null, ann.token, bent(ann.token)]) {
    const pushed = await request(`${system.serverUrl}/sendMsg`, push, proof);
    expect(await pushed.json()).toMatchObject({ code: "9110", dataBody: null });
    const internal = [
      `${system.serverUrl}/internal/downlink`,
      ...["uplink", "announce", "leave"].map((call) => `${system.routeUrl}/internal/${call}`),
    ];
    const answers = await Promise.all(internal.map((url) => request(url, {}, proof)));
    expect(answers.map((answer) => answer.status)).toEqual([401, 401, 401, 401]);
  }
});

describe("passwords", () => {
  test("a known name answers its id only with its password", async () => {
    expect(await post("/registerAccount", { userName: "ann" })).toMatchObject({
      code: "3000",
      dataBody: null,
    });
    const wrong = { userName: "ann", password: "not her password" };
    expect(await post("/registerAccount", wrong)).toMatchObject({ code: "9100", dataBody: null });
    const right = { userName: "ann", password: PASSWORD };
    expect(await post("/registerAccount", right)).toMatchObject({
      code: "9000",
      dataBody: { userId: ann.userId },
    });
  });

  test("guessing is slowed with 6000, for the account that is guessed and no other", async () => {
    const eve = await join("eve");
    const guess = (password: string) => post("/login", { userName: "eve", password });
    const codes: string[] = [];
    for (let i = 0; i <= MAX_FAILED_LOGINS; i++) codes.push((await guess(`guess number ${i}`)).code);
    expect(codes).toEqual([...Array<string>(MAX_FAILED_LOGINS).fill("9100"), "6000"]);
    expect(await guess(PASSWORD)).toMatchObject({ code: "6000", message: expect.stringMatching(/second/) });
    // Who is logged in is not locked out by others' guesses.
    expect((await post("/groupRoute", { userId: eve.userId, msg: "still here" }, eve.token)).code).toBe(
      "9000",
    );
    expect((await post("/login", { userName: "bob", password: PASSWORD })).code).not.toBe("6000");
  });

  test("a name nobody has is answered like a wrong password", async () => {
    const nobody = await post("/login", { userName: "nobody at all", password: "some password" });
    const wrong = await post("/login", { userName: "bob", password: "some password" });
    expect(nobody).toEqual(wrong);
    expect(nobody.code).toBe("9100");
  });

  test("at most 256 bytes and at least 8 characters are taken, and none is ever quoted", async () => {
    for (const password of ["x7!secr", "s3cret".repeat(50)]) {
      const answer = await post("/registerAccount", { userName: "frank", password });
      expect(answer).toMatchObject({ code: "3000", message: expect.not.stringContaining(password) });
    }
  });
});

async function join(userName: string): Promise<User> {
  const password = PASSWORD;
  expect((await post("/registerAccount", { userName, password })).code).toBe("9000");
  const { code, dataBody } = await post("/login", { userName, password });
  expect(code).toBe("9000");
  return dataBody as User;
}

async function post(path: string, body: unknown, token: string | null = null): Promise<Answer> {
  const response = await request(`${system.routeUrl}${path}`, body, token);
  return (await response.json()) as Answer;
}

async function get(path: string, token: string | null): Promise<Answer> {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  return (await (await fetch(`${system.routeUrl}${path}`, { headers })).json()) as Answer;
}

function request(url: string, body: unknown, token: string | null): Promise<Response> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (token !== null) headers.authorization = `Bearer ${token}`;
  return fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
}

/** Ann's token with other contents, signed with `secret`. */
async function changed(secret: string, change: Partial<SessionToken>): Promise<string> {
  const token = JSON.parse(Buffer.from(ann.token.split(".")[1]!, "base64url").toString()) as SessionToken;
  return new Tokens(secret).sign({ ...token, ...change });
}

function bent(token: string): string {
  const at = token.length - 5;
  return `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
}

function withUser(token: string, userId: number): string {
  const [prefix, payload, signature] = token.split(".") as [string, string, string];
  const named = { ...(JSON.parse(Buffer.from(payload, "base64url").toString()) as SessionToken), userId };
  return [prefix, Buffer.from(JSON.stringify(named)).toString("base64url"), signature].join(".");
}

/** Logs in and answers the goodbye, once the connection was closed; null when it was closed without a frame. */
async function tcpLogin(login: string | Uint8Array): Promise<{ reason: string } | null> {
  const connection = await RawConnection.open(system.serverPort);
  await connection.write(typeof login === "string" ? ourLogin(login) : login);
  await connection.ended();
  let reason: { reason: string } | null = null;
  new FrameReader().push(connection.received, (bytes) => {
    const { body } = fromBinary(FrameSchema, bytes);
    if (body.case === "goodbye") reason = { reason: body.value.reason };
  });
  return reason;
}

function ourLogin(token: string): Uint8Array {
  return encodeFrame({ cmd: Command.LOGIN, body: { case: "login", value: { token, client: "test/1" } } });
}
