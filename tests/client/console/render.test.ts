import { expect, test } from "bun:test";
import { COMMANDS } from "../../../client/console/commands.ts";
import type { Said } from "../../../client/console/events.ts";
import { Renderer } from "../../../client/console/render.ts";
import { en } from "../../../client/console/texts/en.ts";
import { LANGUAGES } from "../../../client/console/texts/language.ts";
import type { CommandName } from "../../../client/console/texts/texts.ts";

const said = (userId: number, more: Partial<Said> = {}): Said => ({
  conversation: "all",
  seq: 1,
  messageId: "m",
  from: { userId, userName: `u${userId}` },
  at: 0,
  own: false,
  text: "hi",
  ...more,
});

function colorOf(userId: number, renderer = new Renderer(en, true)): string | undefined {
  const line = renderer.render({ type: "message", ...said(userId) });
  return new RegExp(`\\x1b\\[([\\d;]+)mu${userId}\\(`).exec(line)?.[1];
}

test("a name has its own colour, in each console and run the same, and none where there are none", () => {
  const colors = Array.from({ length: 12 }, (_, i) => colorOf(i + 1));
  const users = new Renderer(en, true).render({
    type: "users",
    users: [{ userId: 3, userName: "u3" }],
    prefix: "",
    more: false,
  });
  expect([
    new Set(colors).size,
    colors.includes(undefined),
    colorOf(3),
    users.includes(`\x1b[${colorOf(3)}mu3(3)`),
    colorOf(3, new Renderer(en, false)),
  ]).toEqual([12, false, colors[2], true, undefined]);
});

test("the first words and the list of commands fit a terminal of 80 columns, in every language", () => {
  const user = { userId: 1, userName: "alice" };
  for (const texts of Object.values(LANGUAGES)) {
    const renderer = new Renderer(texts, false);
    const commands = Object.keys(COMMANDS) as CommandName[];
    const route = "http://127.0.0.1:8083";
    const lines = [
      renderer.render({ type: "ready", user, route, registered: true }),
      renderer.render({ type: "commands", commands }),
    ].flatMap((text) => text.split("\n"));
    expect(lines.filter((line) => Bun.stringWidth(line) > 80)).toEqual([]);
  }
});

test("why a connection ended is told in Chinese, wherever we have the words", () => {
  const renderer = new Renderer(LANGUAGES["zh-CN"], false);
  const lines = ["shutdown", "lost", "of the future"].map((reason) =>
    renderer.render({ type: "disconnected", reason, text: "in English", delayMs: 900 }),
  );
  expect([...lines, renderer.render({ type: "closed", reason: "kicked", text: "in English" })]).toEqual([
    "连接已断开（服务器正在停止），1 秒后重连，按回车立即重试",
    "连接已断开（网络中断：in English），1 秒后重连，按回车立即重试",
    "连接已断开（in English），1 秒后重连，按回车立即重试",
    "会话已结束（账号在别处登录）。",
  ]);
});

test("what was told one alone names both, as far as they are known", () => {
  const renderer = new Renderer(en, false);
  const from = { userId: 1, userName: "u1" };
  const own = { own: true, conversation: "p2p:1:2", from };
  const lines = [
    said(2, { conversation: "p2p:1:2" }),
    said(1, { ...own, to: { userId: 2, userName: "u2" } }),
    said(1, own),
  ].map((one) => renderer.render({ type: "message", ...one }).slice("00:00:00 ".length));
  expect(lines).toEqual(["u2(2) → you: hi", "you → u2(2): hi", "you → 2: hi"]);
});

test("a table stands in two columns, and in a narrow terminal each value below its name", () => {
  const lines = (columns: number) => {
    const renderer = new Renderer(en, false, () => columns);
    return renderer.render({ type: "commands", commands: ["pu", "q!"] }).split("\n");
  };
  expect([lines(80).slice(-2), lines(40).slice(-5)]).toEqual([
    [
      "  :pu <prefix>              who is online with a name that begins so",
      "  :q!                       quit",
    ],
    ["  :pu <prefix>", "      who is online with a name that", "      begins so", "  :q!", "      quit"],
  ]);
});
