import { describe, expect, test } from "bun:test";
import { ALL, p2p } from "../../proto/conversation.ts";
import { ADMIN_KEY, type LoggedIn, OpenRoute } from "./open-route.ts";

interface Place {
  messageId: string;
  seq: number;
  conversation: string;
  code?: string;
}

interface History {
  messages: { seq: number; msg?: string; data?: string }[];
  before: number | null;
}

describe("sending", () => {
  test("answers where the message stands, and the same messageId again the same place", async () => {
    await using route = await OpenRoute.start();
    const { ann, bob, conversation } = await couple(route);
    const body = { userId: ann.userId, receiveUserId: bob.userId, msg: "hello", messageId: "m-1" };
    const first = await route.post<Place>("/p2pRoute", body, { token: ann.token });
    expect(first).toEqual({
      code: "9000",
      message: "Success",
      reqNo: null,
      dataBody: { messageId: "m-1", seq: 1, conversation },
    });
    expect(await route.post<Place>("/p2pRoute", body, { token: ann.token })).toEqual(first);
  });

  test("a batch is answered with a list, and may be repeated whole", async () => {
    await using route = await OpenRoute.start();
    const { ann } = await couple(route);
    const body = { userId: ann.userId, batchMsg: ["a", "b"], messageId: "m" };
    const first = await route.post<Place[]>("/groupRoute", body, { token: ann.token });
    expect(first.dataBody).toEqual([
      { messageId: "m.0", seq: 1, conversation: ALL },
      { messageId: "m.1", seq: 2, conversation: ALL },
    ]);
    expect(await route.post<Place[]>("/groupRoute", body, { token: ann.token })).toEqual(first);
  });

  test("without a messageId each is a message of its own", async () => {
    await using route = await OpenRoute.start();
    const { ann } = await couple(route);
    const send = () =>
      route.post<Place>("/groupRoute", { userId: ann.userId, msg: "x" }, { token: ann.token });
    expect([(await send()).dataBody.seq, (await send()).dataBody.seq]).toEqual([1, 2]);
  });

  test("to someone offline is answered 7000 and where it stands", async () => {
    await using route = await OpenRoute.start();
    const { ann } = await couple(route);
    const cat = await route.register("cat");
    const body = { userId: ann.userId, receiveUserId: cat.userId, msg: "x", messageId: "m" };
    expect(await route.post("/p2pRoute", body, { token: ann.token })).toMatchObject({
      code: "7000",
      dataBody: { messageId: "m", seq: 1, conversation: p2p(ann.userId, cat.userId) },
    });
  });

  test("of a batch over the rate says what was accepted and what is to be sent again", async () => {
    await using route = await OpenRoute.start({ CIM_MAX_MESSAGES_PER_SECOND: "2" });
    const { ann } = await couple(route);
    const body = { userId: ann.userId, batchMsg: ["a", "b", "c"], messageId: "m" };
    const answer = await route.post<Place[]>("/groupRoute", body, { token: ann.token });
    expect(answer).toEqual({
      code: "6000",
      message: `message 3 of 3: user ${ann.userId} sends more than 2 messages a second`,
      reqNo: null,
      dataBody: [
        { messageId: "m.0", seq: 1, conversation: ALL, code: "9000" },
        { messageId: "m.1", seq: 2, conversation: ALL, code: "9000" },
        { messageId: "m.2", seq: 0, conversation: ALL, code: "6000" },
      ],
    });
  });

  test("the admin key sends as any account, at any rate", async () => {
    await using route = await OpenRoute.start({ CIM_MAX_MESSAGES_PER_SECOND: "1" });
    const { ann } = await couple(route);
    const body = { userId: ann.userId, batchMsg: ["a", "b", "c"] };
    expect(await route.post("/groupRoute", body, { token: ADMIN_KEY })).toMatchObject({ code: "9000" });
  });
});

describe("history", () => {
  test("is read backwards in pages, by the other's id or the conversation's name", async () => {
    await using route = await OpenRoute.start();
    const { ann, bob, conversation } = await couple(route);
    const to = { userId: ann.userId, receiveUserId: bob.userId };
    const send = (content: object) => route.post("/p2pRoute", { ...to, ...content }, { token: ann.token });
    await send({ batchMsg: ["one", "two", "three"], messageId: "m" });
    await send({ data: "AAEC", messageId: "d" });
    const newest = await route.post<History>(
      "/history",
      { peer: ann.userId, limit: 2 },
      { token: bob.token },
    );
    const rest = await route.post<History>(
      "/history",
      { peer: conversation, before: newest.dataBody.before },
      { token: ann.token },
    );
    const message = (seq: number, messageId: string, content: object) => ({
      seq,
      messageId,
      sendUserId: ann.userId,
      sendUserName: "ann",
      at: expect.any(Number) as unknown as number,
      ...content,
    });
    expect([newest.dataBody, rest.dataBody]).toEqual([
      { messages: [message(3, "m.2", { msg: "three" }), message(4, "d", { data: "AAEC" })], before: 3 },
      { messages: [message(1, "m.0", { msg: "one" }), message(2, "m.1", { msg: "two" })], before: null },
    ]);
  });

  test("is for those who take part", async () => {
    await using route = await OpenRoute.start();
    const { ann, bob, conversation } = await couple(route);
    const eve = await route.login("eve");
    const answers = [
      await route.post("/history", { peer: conversation }, { token: eve.token }),
      await route.post("/history", { peer: conversation, userId: ann.userId }, { token: eve.token }),
      await route.post("/history", { peer: bob.userId }),
      await route.post("/history", { peer: bob.userId }, { token: ADMIN_KEY }),
      await route.post("/history", { peer: bob.userId, userId: ann.userId }, { token: ADMIN_KEY }),
      await route.post("/history", { peer: "all" }, { token: eve.token }),
    ];
    expect(answers.map(({ code }) => code)).toEqual(["9120", "9120", "9110", "3000", "9000", "9000"]);
  });

  test("of nobody but oneself or of what is no conversation is refused", async () => {
    await using route = await OpenRoute.start();
    const { ann } = await couple(route);
    const codes = [];
    for (const peer of [ann.userId, "p2p:2:1", "everyone", 0, -1, 1.5, null, {}, `p2p:1:${"9".repeat(17)}`]) {
      codes.push((await route.post("/history", { peer }, { token: ann.token })).code);
    }
    expect(codes).toEqual(codes.map(() => "3000"));
  });

  test("needs a token in open mode too: it is not CIM v2's", async () => {
    await using route = await OpenRoute.start({ CIM_AUTH: "open" });
    const ann = await route.register("ann", null);
    expect(await route.post("/history", { peer: "all", userId: ann.userId })).toMatchObject({ code: "9110" });
  });
});

describe("who is online", () => {
  test("comes in pages by userId, with a link to the next", async () => {
    await using route = await OpenRoute.start();
    const users = [];
    for (const name of ["ann", "bob", "cat"]) users.push(await route.online(name));
    await route.login("on the way, without a connection");
    const { token } = users[0]!;
    const pages = [];
    for (let path: string | undefined = "/onlineUser?limit=2"; path; ) {
      const response = await route.fetch(path, { token });
      const { dataBody } = (await response.json()) as { dataBody: { userName: string }[] };
      pages.push(dataBody.map(({ userName }) => userName));
      path = /^<(.*)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1];
    }
    expect(pages).toEqual([["ann", "bob"], ["cat"]]);
  });

  test("is searched by how a name starts", async () => {
    await using route = await OpenRoute.start();
    for (const name of ["anna", "bob", "andrew", "Ann"]) await route.online(name);
    const { token } = await route.login("cat");
    const named = async (query: string) => {
      const { dataBody } = await route.get<LoggedIn[]>(`/onlineUser?${query}`, { token });
      return dataBody.map(({ userName }) => userName);
    };
    expect([await named("prefix=an"), await named("prefix=an&limit=1"), await named("prefix=%25")]).toEqual([
      ["anna", "andrew"],
      ["anna"],
      [],
    ]);
  });

  test("takes a limit of 1 to 1000", async () => {
    await using route = await OpenRoute.start({ CIM_AUTH: "open" });
    const answers = [];
    for (const query of ["limit=0", "limit=1001", "limit=x", "after=-1"]) {
      answers.push((await route.get(`/onlineUser?${query}`)).message);
    }
    expect(answers).toEqual([
      'limit="0": want a whole number from 1 to 1000',
      'limit="1001": want a whole number from 1 to 1000',
      'limit="x": want a whole number from 1 to 1000',
      'after="-1": want a whole number from 0 to 9007199254740991',
    ]);
  });
});

describe("an account", () => {
  test("is found by its exact name", async () => {
    await using route = await OpenRoute.start();
    const { token } = await route.login("ann");
    const zoe = await route.register("Zoë");
    const answers = [
      await route.get(`/account?name=${encodeURIComponent("Zoe\u0308")}`, { token }),
      await route.get("/account?name=zoe", { token }),
      await route.get("/account", { token }),
      await route.get("/account?name=ann"),
    ];
    expect(answers.map(({ code, dataBody }) => [code, dataBody])).toEqual([
      ["9000", zoe],
      ["9100", null],
      ["3000", null],
      ["9110", null],
    ]);
  });

  test("is looked up sixty times a minute, by one user", async () => {
    await using route = await OpenRoute.start();
    const [ann, bob] = [await route.login("ann"), await route.login("bob")];
    const look = ({ token }: LoggedIn) => route.get("/account?name=ann", { token });
    const answers = [];
    for (let i = 0; i < 61; i++) answers.push(await look(ann));
    expect([answers[59]!.code, answers[60]!.code, (await look(bob)).code]).toEqual(["9000", "6000", "9000"]);
  });
});

async function couple(route: OpenRoute): Promise<{ ann: LoggedIn; bob: LoggedIn; conversation: string }> {
  const [ann, bob] = [await route.online("ann"), await route.online("bob")];
  return { ann, bob, conversation: p2p(ann.userId, bob.userId) };
}
