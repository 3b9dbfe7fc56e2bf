/** The list of clients as a page, without scripts. */
import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import type { Download } from "./downloads.ts";
import { startLine } from "./install.ts";
import { PLATFORMS } from "./platforms.ts";

type Client = Omit<Download, "body" | "modified"> & { url: string; install: string };

const TEXTS = {
  en: {
    title: "CIM in a terminal",
    lead: "The client is one file and needs nothing beside it. The line for your machine fetches it into the current directory, checks its SHA-256 and makes it ready to run. Broken off, the same line goes on where it stopped.",
    start: "Then chat:",
    browser: "Or chat in the browser",
    windows: "For PowerShell.",
    musl: "Needs curl and libstdc++: apk add curl libstdc++",
    none: "No client has been compiled here yet. On the machine of this route, this compiles them for every platform:",
    elsewhere: "CIM_DOWNLOADS names another directory to look in.",
  },
  "zh-CN": {
    title: "终端里的 CIM",
    lead: "客户端只有一个文件，不依赖其他任何东西。与你的机器对应的那一行命令会把它下载到当前目录，校验 SHA-256，并设为可执行。下载中断后，再执行同一行即可续传。",
    start: "然后开始聊天：",
    browser: "或者直接在浏览器里聊天",
    windows: "在 PowerShell 中执行。",
    musl: "需要 curl 和 libstdc++：apk add curl libstdc++",
    none: "这里还没有编译好的客户端。在运行本路由的机器上，下面的命令会为所有平台编译：",
    elsewhere: "也可以用 CIM_DOWNLOADS 指定另一个目录。",
  },
};

export type Language = keyof typeof TEXTS;

export function isLanguage(text: string): text is Language {
  return Object.hasOwn(TEXTS, text);
}

const MEBIBYTE = 1024 * 1024;

interface Content {
  /** The route's URL, as its clients have it. */
  route: string;
  clients: Client[];
  language: Language;
}

export function downloadsPage({ route, clients, language }: Content) {
  const texts = TEXTS[language];
  const content =
    clients.length === 0
      ? html`<p>${texts.none}</p>
      <pre><code>bun run build --all</code></pre>
      <p>${texts.elsewhere}</p>`
      : html`<p>${texts.lead}</p>
      ${clients.map((client) => section(client, texts))}
      <h2>${texts.start}</h2>
      <pre><code>${startLine(route)}</code></pre>`;
  return html`<!doctype html>
<html lang="${language}">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${texts.title}</title>
    <link rel="icon" href="icon.svg" />
    <link rel="stylesheet" href="download/page.css" />
  </head>
  <body>
    <main>
      <h1>${texts.title}</h1>
      ${content}
      <p><a href="./">${texts.browser}</a></p>
    </main>
  </body>
</html>
`;
}

function section(
  client: Client,
  texts: (typeof TEXTS)["en"],
): HtmlEscapedString | Promise<HtmlEscapedString> {
  const { platform, name, size, sha256, url, install } = client;
  const note = platform.endsWith("musl") ? texts.musl : platform.startsWith("windows") ? texts.windows : null;
  return html`<section>
        <h2>${PLATFORMS[platform]}</h2>
        <p><a href="${url}" download>${name}</a> <span>${(size / MEBIBYTE).toFixed(1)} MiB</span></p>
        ${note === null ? "" : html`<p>${note}</p>`}
        <pre><code>${install}</code></pre>
        <p class="sum">SHA-256 <code>${sha256}</code></p>
      </section>`;
}

export const STYLE = `:root {
  color-scheme: light dark;
  --bg: light-dark(#f3f5f9, #10131a);
  --card: light-dark(#ffffff, #1c212c);
  --line: light-dark(#dfe3ec, #2a303d);
  --text: light-dark(#1a2030, #e8ebf2);
  --dim: light-dark(#596276, #9ca6b9);
  --accent: light-dark(#3d56c5, #95a9ff);
  font: 1rem / 1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei",
    "Noto Sans CJK SC", sans-serif;
  color: var(--text);
  background: var(--bg);
}
main { max-width: 56rem; margin: 0 auto; padding: 2rem 1rem; }
h1 { font-size: 1.75rem; margin: 0 0 0.5rem; }
h2 { font-size: 1.125rem; margin: 0; }
h2 + pre, p + section { margin-top: 0.75rem; }
p { margin: 0.25rem 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 0.75rem; padding: 1rem; margin: 0 0 1rem; }
a { color: var(--accent); }
span, .sum { color: var(--dim); }
.sum { font-size: 0.8125rem; overflow-wrap: anywhere; }
pre { background: var(--bg); border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.75rem; margin: 0.5rem 0;
  white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; }
code { font: 0.8125rem / 1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Noto Sans Mono", monospace; }
`;
