/** The compiled clients, to be fetched from this route: a list with checksums and a line to install each, and the files. */
import { type Context, Hono } from "hono";
import { accepts } from "hono/accepts";
import { downloadsPage, isLanguage, type Language, STYLE } from "./downloads-page.ts";
import { installLine } from "./install.ts";
import type { Platform } from "./platforms.ts";
import { publicUrl } from "./public-url.ts";
import { partOf } from "./range.ts";

export interface Download {
  platform: Platform;
  /** The file's name. */
  name: string;
  size: number;
  /** In hex. */
  sha256: string;
  modified: Date;
  body: Blob;
}

/** The files, as the entry point finds them. */
export interface Downloads {
  /** All there are now. */
  list(): Promise<Download[]>;
  /** Null when it is not among them. */
  find(name: string): Promise<Download | null>;
}

// No script, nothing from elsewhere.
const POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

// It tells its reader the address he came by, which is nobody else's to see.
const LIST = { "cache-control": "no-store", vary: "accept, accept-language" };

interface Options {
  /** Proxies whose word counts on where clients reach this route. */
  trustedProxies: number;
  /** What counts when a request does not say. */
  routeUrl: string;
}

export function downloads(files: Downloads, { trustedProxies, routeUrl }: Options): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
  });

  app.get("/", async (c) => {
    const route = publicUrl(c.req.raw, trustedProxies) ?? routeUrl;
    const clients = (await files.list()).map(({ body, modified, ...client }) => ({
      ...client,
      url: `download/${client.name}`,
      install: installLine(client, `${route}/download/${client.name}`),
    }));
    const type = accepts(c, {
      header: "Accept",
      supports: ["application/json", "text/html"],
      default: "application/json",
    });
    if (type === "application/json") return c.json({ route, clients }, 200, LIST);
    const ownFirst = clients.toSorted((a, b) => Number(isOwn(b, c)) - Number(isOwn(a, c)));
    return c.html(downloadsPage({ route, clients: ownFirst, language: languageOf(c) }), 200, LIST);
  });

  app.get("/:name", async (c) => {
    const name = c.req.param("name");
    // Beside `:name` a path of its own would keep Hono from finding any path, of the whole route, by one look into a table.
    if (name === "page.css") {
      return c.body(STYLE, 200, { "content-type": "text/css; charset=utf-8", "cache-control": "no-cache" });
    }
    const download = await files.find(name);
    return download ? serve(c, download) : c.text("no such client; /download lists those there are\n", 404);
  });

  return app;
}

/** Whether it is for the system that the reader's browser says it runs on. */
function isOwn({ platform }: Pick<Download, "platform">, c: Context): boolean {
  const agent = c.req.header("user-agent") ?? "";
  const system = /Windows/.test(agent) ? "windows" : /Mac OS X/.test(agent) ? "darwin" : "linux";
  return platform.startsWith(system);
}

/** What the link here asked for, or else the reader's first language that we speak. */
function languageOf(c: Context): Language {
  const asked = c.req.query("lang") ?? "";
  if (isLanguage(asked)) return asked;
  const chosen = accepts(c, {
    header: "Accept-Language",
    supports: ["en", "zh"],
    default: "en",
    // What is given comes by preference; Chinese is Chinese, of whatever region.
    match: (given, config) =>
      given.find(({ type, q }) => q > 0 && /^(en|zh)\b/i.test(type))?.type ?? config.default,
  });
  return /^zh/i.test(chosen) ? "zh-CN" : "en";
}

function serve(c: Context, { name, size, sha256, modified, body }: Download): Response {
  // The whole checksum: parts of different files never come together under it.
  const etag = `"${sha256}"`;
  const lastModified = modified.toUTCString();
  const headers = {
    etag,
    "last-modified": lastModified,
    "accept-ranges": "bytes",
    "content-type": "application/octet-stream",
    "content-disposition": `attachment; filename="${name}"`,
    "cache-control": "no-cache",
  };
  const known = c.req.header("if-none-match")?.split(",");
  if (known?.some((one) => one.trim().replace(/^W\//, "") === etag)) return c.body(null, 304, headers);

  const condition = c.req.header("if-range")?.trim() ?? etag;
  const partial = c.req.method === "GET" && (condition === etag || condition === lastModified);
  const part = partOf((partial && c.req.header("range")) || null, size);
  if (part === "unsatisfiable") return c.body(null, 416, { ...headers, "content-range": `bytes */${size}` });
  const { from, to } = part ?? { from: 0, to: size };
  const length = { "content-length": String(to - from) };
  const range = part && { "content-range": `bytes ${from}-${to - 1}/${size}` };
  return new Response(body.slice(from, to), {
    status: part ? 206 : 200,
    headers: { ...headers, ...length, ...range },
  });
}
