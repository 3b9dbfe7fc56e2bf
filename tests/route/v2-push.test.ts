import { expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { MessageSchema } from "../../proto/gen/cim_pb.ts";
import { postV2Push, type V2Push, v2Pushes } from "../../route/v2-push.ts";

const LIVE = 0;
const KEPT = Number.POSITIVE_INFINITY;
const PUSH: V2Push = {
  userId: 2,
  cmd: "MESSAGE",
  msg: "hi",
  properties: { sendUserId: "1", sendUserName: "user 1", receiveUserId: "2" },
};

test("a message alone is a msg with the sender's and the receiver's properties, and nothing CIM v2 does not know", () => {
  const [step] = v2Pushes(2, messages([1, "hi"]), LIVE);
  expect(step).toStrictEqual({ push: PUSH, seq: 1 });
});

test("messages of one sender that follow one another go together, those of another apart", () => {
  const pushes = shown(v2Pushes(9, messages([1, "a"], [1, "b"], [2, "c"], [1, "d"], [1, "e"]), LIVE));
  expect(pushes).toEqual(["2 MESSAGE 1: a,b", "3 MESSAGE 2: c", "5 MESSAGE 1: d,e"]);
});

test("what was kept is OFFLINE, what is live is not, also within one sender's", () => {
  const pushes = shown(v2Pushes(9, messages([1, "a"], [1, "b"], [1, "c"], [1, "d"]), 3));
  expect(pushes).toEqual(["2 OFFLINE 1: a,b", "4 MESSAGE 1: c,d"]);
});

test("the receiver's own messages are left out, and part nothing", () => {
  const pushes = shown(
    v2Pushes(9, messages([9, "mine"], [1, "a"], [9, "mine"], [1, "b"], [9, "mine"]), KEPT),
  );
  expect(pushes).toEqual(["4 OFFLINE 1: a,b"]);
});

test("a call holds 100 messages and 48 KiB at most, and one message whatever its size", () => {
  const many = messages(...Array.from({ length: 201 }, (): [number, string] => [1, "x"]));
  const large = messages(...[20, 20, 20, 60, 1].map((kib): [number, string] => [1, "语".repeat(kib * 341)]));
  const sizes = (given: typeof many) =>
    Array.from(v2Pushes(9, given, LIVE), ({ push }) => push.batchMsg?.length ?? 1);
  expect([sizes(many), sizes(large)]).toEqual([
    [100, 100, 1],
    [2, 1, 1, 1],
  ]);
});

test("data is shown as base64", () => {
  const content = { case: "data" as const, value: Uint8Array.of(0, 255, 16) };
  const message = create(MessageSchema, { senderId: 1n, seq: 1n, content });
  expect([...v2Pushes(9, [message], LIVE)][0]!.push.msg).toBe("AP8Q");
});

test("only Success, said in CIM v2's words, is success", async () => {
  const ok = { code: "9000", message: "Success", reqNo: null, dataBody: { msg: "OK" } };
  const answers = [
    Response.json(ok),
    Response.json({ ...ok, code: "4000" }),
    Response.json(ok, { status: 500 }),
    new Response("<html>"),
    new Response("null"),
    new Response("x".repeat(100_000)),
  ];
  const statuses = answers.map(async (answer) => {
    try {
      await postV2Push(async () => answer, "http://10.0.0.1:8081/sendMsg", PUSH);
      return "taken";
    } catch (error) {
      return (error as { status: string }).status;
    }
  });
  expect(await Promise.all(statuses)).toEqual([
    "taken",
    "FAILURE",
    "FAILURE",
    "FAILURE",
    "FAILURE",
    "FALLBACK",
  ]);
});

function messages(...said: [sender: number, text: string][]) {
  return said.map(([sender, value], i) =>
    create(MessageSchema, {
      senderId: BigInt(sender),
      senderName: `user ${sender}`,
      seq: BigInt(i + 1),
      content: { case: "text", value },
    }),
  );
}

function shown(pushes: ReturnType<typeof v2Pushes>): string[] {
  return Array.from(pushes, ({ push: { cmd, msg, batchMsg, properties }, seq }) => {
    return `${seq} ${cmd} ${properties.sendUserId}: ${batchMsg ?? msg}`;
  });
}
