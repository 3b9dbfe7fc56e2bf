import type { ModelFault, Problem } from "../problem.ts";
import type { Texts } from "./texts.ts";

const PRIVATE = "<name or userId>;;<text>";

const MODEL_FAULTS: Record<ModelFault, (detail: string) => string> = {
  unreachable: (reason) => `it cannot be reached (${reason})`,
  status: (code) => `it answered with HTTP ${code}`,
  timeout: (seconds) => `it took longer than ${seconds} s`,
  size: (limit) => `the answer is longer than the limit of ${limit}`,
  cut: () => "the answer broke off",
  refused: (reason) => `it refused (${reason})`,
  format: (data) => `it sent what is no part of an answer (${data})`,
};

export const en: Texts = {
  everyone: "everyone",
  you: "you",
  person: ({ userId, userName }) => (userName ? `${userName}(${userId})` : String(userId)),
  commandsTitle: "Commands:",
  commands: {
    all: { usage: ":all", help: "list these commands" },
    olu: { usage: ":olu", help: "who is online" },
    pu: { usage: ":pu <prefix>", help: "who is online with a name that begins so" },
    q: { usage: ":q [keyword]", help: "search what was said; without a keyword, quit" },
    "q!": { usage: ":q!", help: "quit" },
    ai: { usage: ":ai", help: "talk to the bot, or to the model at CIM_AI_URL" },
    qai: { usage: ":qai", help: "stop talking to the bot" },
    info: { usage: ":info", help: "this client, its connection and session" },
    emoji: { usage: ":emoji <page>", help: "emoji to copy" },
    delay: {
      usage: ":delay <msg> <seconds>",
      help: "send later, even after a restart; alone: list",
    },
    undelay: { usage: ":undelay <number>", help: "do not send what waits under this number" },
    logout: { usage: ":logout", help: "log out, forget the session on this machine, quit" },
  },
  talking: [
    ["hello", "says it to everyone"],
    [PRIVATE, "says it to one"],
  ],
  help: {
    title: "chat in a terminal, or send and read lines in a script.",
    usage: "Usage",
    brackets: "In brackets the environment variable, and the default:",
    meanings: {
      route: "where the route is",
      user: "who you are; a new name is registered",
      device: "under CIM_LOGIN_POLICY=multi, one session for each device",
      lang: "en or zh-CN; when not set, what the locale says",
      "ai-url": "an OpenAI-compatible endpoint that answers in AI mode; when not set, the built-in bot",
      "ai-model": "the model that answers there",
      "new-password": "ask for a new password, in place of the old one or of none",
      json: "print everything as lines of JSON",
      help: "print this",
      version: "print the version",
    },
    notes: [
      "The password is asked for, or read from CIM_PASSWORD; the session is remembered, so that the next start asks nothing.",
      "A key for the endpoint of --ai-url is read from CIM_AI_KEY.",
      "With input from a pipe, each line is sent, and the program ends when the last one has its receipt.",
    ],
  },
  flags: {
    wants: {
      url: "an http:// or https:// URL",
      name: "a name of 1 to 64 characters",
      language: "en or zh-CN",
      model: "a name of 1 to 200 characters",
    },
    missing: (flag, want) => `${flag} is missing: want ${want}`,
    wrong: (given, want) => `${given}: want ${want}`,
    unknown: (flag) => `${flag}: no such flag; --help lists those there are`,
    noSwitch: (flag, value) => `${flag}=${value}: want ${flag} alone`,
    extra: (word) => `"${word}" belongs to no flag: want --user ${word}? --help lists the flags`,
  },
  password: "Password: ",
  passwordAgain: "The same password again: ",
  oldPassword: "The old password (Enter if there is none): ",
  newPassword: "A new password: ",
  passwordChanged: "The password is changed.",
  needsTerminal: (flag) => `${flag} asks for it: start in a terminal.`,
  askRegister: (name) => `There is no ${name} with this password. Register it as a new name? [y/N] `,
  yes: /^y(es)?$/i,
  connecting: (route) => `Connecting to ${route} …`,
  ready: ({ userName, userId }, route) => `You are ${userName}, userId ${userId}, at ${route}.`,
  readyHint: "Text goes to everyone, <name>;;<text> to one. :all lists the commands.",
  registered: ({ userName, userId }) => `Registered ${userName}, userId ${userId}.`,
  skipped: (count) => `${count} earlier messages to everyone are not shown; :q <keyword> finds them.`,
  queued: "not connected: it is sent as soon as there is a connection",
  accepted: (to, place) => `accepted: to ${to}, ${place}`,
  stored: (to, place) => `stored: ${to} is offline and gets it at the next login, ${place}`,
  refused: (to, reason) => `not sent to ${to}: ${reason}`,
  kept: (count) =>
    `${count} ${count === 1 ? "message has" : "messages have"} no receipt yet: kept, and sent at the next start.`,
  disconnected: (_, text, seconds) => `connection lost (${text}): next try in ${seconds} s, Enter tries now`,
  connected: "connected again",
  users: (count, prefix, more) =>
    `${more ? "more than " : ""}${count} online${prefix ? ` with a name that begins with ${prefix}` : ""}`,
  found: (keyword, shown, total) =>
    shown < total ? `the last ${shown} of ${total} with "${keyword}"` : `${total} with "${keyword}"`,
  aiOn: "You talk to the bot; nothing is sent until :qai.",
  aiOff: "You talk to people again.",
  asked: (model) => `${model} is asked, Ctrl-C stops it`,
  stopped: "The answer was stopped.",
  info: {
    user: "user",
    device: "device",
    state: "state",
    route: "route",
    server: "server",
    session: "session",
    pending: "without receipt",
    delays: "delayed",
    history: "history",
  },
  emoji: (page, pages) => `page ${page} of ${pages}`,
  delayed: (id, to, seconds) => `${id}: to ${to} in ${seconds} s; :undelay ${id} to call it off`,
  undelayed: (id) => `${id}: not sent`,
  noDelays: "Nothing waits to be sent.",
  delay: (id, to, seconds, text) => `${id}: to ${to} in ${seconds} s: ${text}`,
  forgotten: "Logged out; the session is forgotten on this machine.",
  quitHint: "Ctrl-C again quits.",
  data: (bytes) => `[${bytes} bytes]`,
  problem,
  closed: (reason, text) =>
    reason === "replaced" || reason === "kicked"
      ? `The session ended: ${text}.`
      : `The connection ended (${reason}): ${text}.`,
  status: (_, detail) => detail,
  repeatLogin: (name) =>
    `${name} is logged in already: quit there (:q) and try again, or wait until that connection has timed out.`,
  wrongPassword: (name) => `The name ${name} is taken, and its password is another.`,
  shortPassword: (name, min) =>
    `There is no ${name} with this password, and for a new name it is too short: want at least ${min} characters.`,
  noPassword: (name) => `${name} needs a password: set CIM_PASSWORD, or start in a terminal to be asked.`,
  calledOff: "Called off.",
  notRegistered: (name) => `${name} was not registered.`,
  failedLines: (count) => `${count} of the lines came to nothing.`,
};

function problem(problem: Problem): string {
  switch (problem.what) {
    case "unknown-command":
      return `There is no command :${problem.name}: :all lists those there are.`;
    case "usage":
      return `${problem.given && `"${problem.given}" is not enough: `}write ${en.commands[problem.command].usage}`;
    case "no-password":
      return en.noPassword(problem.name);
    case "name-taken":
      return en.wrongPassword(problem.name);
    case "short-password":
      return `That is too short: a password has at least ${problem.min} characters.`;
    case "passwords-differ":
      return "The two passwords differ.";
    case "old-password":
      return "That is not the old password.";
    case "no-receiver":
      return `Nobody is named before ;; in "${problem.given}": write ${PRIVATE}`;
    case "no-text":
      return `Nothing stands after ;; in "${problem.given}": write ${PRIVATE}`;
    case "no-such-user":
      return `There is no user "${problem.name}": write ${PRIVATE}; :olu shows who is online.`;
    case "yourself":
      return `That is you: write ${PRIVATE} with someone else.`;
    case "seconds":
      return `"${problem.given}" is no number of seconds from 1 to ${problem.max}: write :delay <msg> <seconds>, as in :delay see you 10`;
    case "page":
      return `"${problem.given}" is no page from 1 to ${problem.pages}: write :emoji <page>, as in :emoji 1`;
    case "no-such-delay":
      return `Nothing waits under "${problem.given}": :delay lists what waits, :undelay <number> calls it off.`;
    case "too-many-delays":
      return `${problem.limit} messages wait already, which is the limit: :undelay <number> calls one off.`;
    case "in-use":
      return `Another console on this machine is ${problem.name} as well: the remembered session is left to it.`;
    case "file":
      return `A file cannot be used: ${problem.reason}`;
    case "model":
      return `No whole answer from CIM_AI_URL: ${MODEL_FAULTS[problem.fault](problem.detail)}. Ask again, or :qai.`;
    case "failed":
      return `That did not work: ${problem.reason}`;
  }
}
