import { type GoodbyeReason, STATUS, type StatusName } from "../../../proto/status.ts";
import type { ModelFault, Problem } from "../problem.ts";
import type { Texts } from "./texts.ts";

const PRIVATE = "<用户名或 userId>;;<内容>";

const STATUS_TEXTS: Record<StatusName, string> = {
  SUCCESS: "成功",
  FALLBACK: "系统暂时无法处理",
  INVALID: "参数无效",
  FAILURE: "失败",
  REPEAT_LOGIN: "账号已登录",
  RATE_LIMITED: "请求过于频繁",
  RECEIVER_OFFLINE: "对方不在线，消息已保存",
  NO_SERVER: "没有可用的服务器",
  RECONNECT_FAILED: "重连失败",
  ACCOUNT_MISMATCH: "账号与密码不符",
  UNAUTHORIZED: "需要有效的令牌",
  FORBIDDEN: "令牌不允许此操作",
  OFFLINE_STORE_FAILED: "离线消息保存失败",
  OFFLINE_FETCH_FAILED: "离线消息获取失败",
  OFFLINE_DELETE_FAILED: "离线消息删除失败",
};

const GOODBYE_TEXTS: Record<GoodbyeReason, string> = {
  shutdown: "服务器正在停止",
  slow: "连接来不及接收消息",
  silent: "服务器长时间未收到任何数据",
  full: "服务器连接数已满",
  unavailable: "暂时无法验证会话",
  replaced: "同一会话在别处重新连接",
  wrong_server: "会话属于另一台服务器",
  session_over: "会话已过期",
  kicked: "账号在别处登录",
  logged_out: "会话已注销",
  bad_token: "令牌无效",
  bad_frame: "收到无法识别的数据",
  no_login: "未及时登录",
};

/** The server's own words are English: said where we have none. */
function ending(reason: string, text: string): string {
  if (Object.hasOwn(GOODBYE_TEXTS, reason)) return GOODBYE_TEXTS[reason as GoodbyeReason];
  if (reason === "lost") return `网络中断：${text}`;
  return reason === "refused" ? `登录被拒绝：${text}` : text;
}

const MODEL_FAULTS: Record<ModelFault, (detail: string) => string> = {
  unreachable: (reason) => `无法连接（${reason}）`,
  status: (code) => `返回 HTTP ${code}`,
  timeout: (seconds) => `超过 ${seconds} 秒`,
  size: (limit) => `回答超过上限 ${limit}`,
  cut: () => "回答中断",
  refused: (reason) => `被拒绝（${reason}）`,
  format: (data) => `收到无法识别的内容（${data}）`,
};

export const zhCN: Texts = {
  everyone: "所有人",
  you: "我",
  person: ({ userId, userName }) => (userName ? `${userName}(${userId})` : String(userId)),
  commandsTitle: "命令：",
  commands: {
    all: { usage: ":all", help: "列出全部命令" },
    olu: { usage: ":olu", help: "谁在线" },
    pu: { usage: ":pu <前缀>", help: "用户名以此开头的在线用户" },
    q: { usage: ":q [关键字]", help: "搜索聊天记录；不带关键字则退出" },
    "q!": { usage: ":q!", help: "退出" },
    ai: { usage: ":ai", help: "与内置机器人或 CIM_AI_URL 处的模型聊天" },
    qai: { usage: ":qai", help: "结束与机器人聊天" },
    info: { usage: ":info", help: "本客户端及其连接与会话" },
    emoji: { usage: ":emoji <页码>", help: "可供复制的表情" },
    delay: { usage: ":delay <内容> <秒数>", help: "延时发送，重启后仍有效；不带参数则列出" },
    undelay: { usage: ":undelay <编号>", help: "取消该编号的延时消息" },
    logout: { usage: ":logout", help: "注销，删除本机保存的会话并退出" },
  },
  talking: [
    ["你好", "发给所有人"],
    [PRIVATE, "发给一个人"],
  ],
  help: {
    title: "在终端里聊天，或在脚本中收发消息。",
    usage: "用法",
    brackets: "括号中为对应的环境变量和默认值：",
    meanings: {
      route: "路由的地址",
      user: "您的用户名；新用户名会被注册",
      device: "CIM_LOGIN_POLICY=multi 时，每台设备一个会话",
      lang: "en 或 zh-CN；未设置时取决于系统语言",
      "ai-url": "AI 模式下回答问题的 OpenAI 兼容接口；未设置时由内置机器人回答",
      "ai-model": "在该接口回答问题的模型",
      "new-password": "设置新密码，替换原密码（没有原密码也可以）",
      json: "逐行输出 JSON",
      help: "显示本帮助",
      version: "显示版本",
    },
    notes: [
      "密码在启动时询问，或取自 CIM_PASSWORD；会话会保存在本机，下次启动无需再输入。",
      "--ai-url 接口的密钥取自 CIM_AI_KEY。",
      "通过管道输入时，每一行作为一条消息发送，最后一条收到回执后程序结束。",
    ],
  },
  flags: {
    wants: {
      url: "http:// 或 https:// 地址",
      name: "1 到 64 个字符的名称",
      language: "en 或 zh-CN",
      model: "1 到 200 个字符的名称",
    },
    missing: (flag, want) => `缺少 ${flag}：应为 ${want}`,
    wrong: (given, want) => `${given}：应为 ${want}`,
    unknown: (flag) => `没有选项 ${flag}：--help 列出全部选项`,
    noSwitch: (flag, value) => `${flag}=${value}：应只写 ${flag}`,
    extra: (word) => `“${word}”不属于任何选项：是否应为 --user ${word}？--help 列出全部选项`,
  },
  password: "密码：",
  passwordAgain: "再输入一次密码：",
  oldPassword: "原密码（没有则直接按回车）：",
  newPassword: "新密码：",
  passwordChanged: "密码已修改。",
  needsTerminal: (flag) => `${flag} 需要输入密码：请在终端中启动。`,
  askRegister: (name) => `没有以此密码登录的用户 ${name}。是否注册为新用户？[y/N] `,
  yes: /^(y(es)?|是|好)$/i,
  connecting: (route) => `正在连接 ${route} …`,
  ready: ({ userName, userId }, route) => `您是 ${userName}，userId ${userId}，已登录 ${route}。`,
  readyHint: "直接输入发给所有人，<用户名>;;<内容> 发给一个人，:all 列出全部命令。",
  registered: ({ userName, userId }) => `已注册 ${userName}，userId ${userId}。`,
  skipped: (count) => `更早的 ${count} 条发给所有人的消息未显示，:q <关键字> 可查找。`,
  queued: "未连接：恢复连接后立即发送",
  accepted: (to, place) => `已送达服务端：发给${to}，${place}`,
  stored: (to, place) => `已保存：${to} 不在线，下次登录时收到，${place}`,
  refused: (to, reason) => `未发给${to}：${reason}`,
  kept: (count) => `${count} 条消息尚未收到回执：已保存，下次启动时发送。`,
  disconnected: (reason, text, seconds) =>
    `连接已断开（${ending(reason, text)}），${seconds} 秒后重连，按回车立即重试`,
  connected: "已恢复连接",
  users: (count, prefix, more) =>
    `${prefix ? `用户名以 ${prefix} 开头的` : ""}在线用户${more ? "超过" : ""} ${count} 人`,
  found: (keyword, shown, total) =>
    shown < total
      ? `含“${keyword}”的共 ${total} 条，以下为最近 ${shown} 条`
      : `含“${keyword}”的共 ${total} 条`,
  aiOn: "正在与机器人聊天；输入 :qai 之前不发送任何消息。",
  aiOff: "已结束与机器人聊天。",
  asked: (model) => `正在询问 ${model}，按 Ctrl-C 停止`,
  stopped: "已停止回答。",
  info: {
    user: "用户",
    device: "设备",
    state: "状态",
    route: "路由",
    server: "服务器",
    session: "会话",
    pending: "未收到回执",
    delays: "延时消息",
    history: "聊天记录",
  },
  emoji: (page, pages) => `第 ${page} 页，共 ${pages} 页`,
  delayed: (id, to, seconds) => `${id}：${seconds} 秒后发给${to}；:undelay ${id} 取消`,
  undelayed: (id) => `${id}：已取消`,
  noDelays: "没有待发消息。",
  delay: (id, to, seconds, text) => `${id}：${seconds} 秒后发给${to}：${text}`,
  forgotten: "已注销，本机保存的会话已删除。",
  quitHint: "再按一次 Ctrl-C 退出。",
  data: (bytes) => `[${bytes} 字节]`,
  problem,
  closed: (reason, text) => `会话已结束（${ending(reason, text)}）。`,
  status: (status, detail) =>
    detail === "" || detail === STATUS[status].text
      ? STATUS_TEXTS[status]
      : `${STATUS_TEXTS[status]}（${detail}）`,
  repeatLogin: (name) => `${name} 已在别处登录：请先在那里退出（:q），或等待那里的连接超时后再试。`,
  wrongPassword: (name) => `用户名 ${name} 已被注册，密码不符。`,
  shortPassword: (name, min) => `没有以此密码登录的用户 ${name}，注册新用户的密码至少需要 ${min} 个字符。`,
  noPassword: (name) => `${name} 需要密码：请设置 CIM_PASSWORD，或在终端中启动以输入密码。`,
  calledOff: "已取消。",
  notRegistered: (name) => `未注册 ${name}。`,
  failedLines: (count) => `有 ${count} 行未能完成。`,
};

function problem(problem: Problem): string {
  switch (problem.what) {
    case "unknown-command":
      return `没有命令 :${problem.name}：:all 列出全部命令。`;
    case "usage":
      return `${problem.given && `“${problem.given}”不完整，`}正确写法为 ${zhCN.commands[problem.command].usage}`;
    case "no-password":
      return zhCN.noPassword(problem.name);
    case "name-taken":
      return zhCN.wrongPassword(problem.name);
    case "short-password":
      return `密码太短：至少需要 ${problem.min} 个字符。`;
    case "passwords-differ":
      return "两次输入的密码不一致。";
    case "old-password":
      return "原密码不正确。";
    case "no-receiver":
      return `“${problem.given}”的 ;; 之前没有用户：正确写法为 ${PRIVATE}`;
    case "no-text":
      return `“${problem.given}”的 ;; 之后没有内容：正确写法为 ${PRIVATE}`;
    case "no-such-user":
      return `没有用户“${problem.name}”：正确写法为 ${PRIVATE}；:olu 查看在线用户。`;
    case "yourself":
      return `不能发给自己：正确写法为 ${PRIVATE}`;
    case "seconds":
      return `“${problem.given}”不是 1 到 ${problem.max} 的秒数：正确写法为 :delay <内容> <秒数>，例如 :delay 再见 10`;
    case "page":
      return `“${problem.given}”不是 1 到 ${problem.pages} 的页码：正确写法为 :emoji <页码>，例如 :emoji 1`;
    case "no-such-delay":
      return `没有编号为“${problem.given}”的延时消息：:delay 列出待发消息，:undelay <编号> 取消。`;
    case "too-many-delays":
      return `已有 ${problem.limit} 条延时消息，达到上限：:undelay <编号> 取消一条。`;
    case "in-use":
      return `本机另一个控制台也在使用 ${problem.name}：已保存的会话留给它。`;
    case "file":
      return `文件无法使用：${problem.reason}`;
    case "model":
      return `CIM_AI_URL 未给出完整回答：${MODEL_FAULTS[problem.fault](problem.detail)}。请重新提问，或输入 :qai。`;
    case "failed":
      return `操作失败：${zhCN.status(problem.status, problem.reason)}`;
  }
}
