/** The chat as a page, from this route alone. */
import { type Context, Hono } from "hono";

/** The page's files, as the entry point found them. */
export type Page = readonly PageFile[];

export interface PageFile {
  /** Its path below the page's own; "" for the page itself. */
  name: string;
  type: string;
  /** Differs with its content. */
  hash: string;
  gzip: Uint8Array<ArrayBuffer>;
}

// Nothing from elsewhere, nothing inline, no text ever taken for markup or script. Only servers are elsewhere, and
// which those are is known after the login.
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self' ws: wss:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "permissions-policy": "camera=(), microphone=(), geolocation=()",
  // Asked each time and mostly answered with 304: after an update nobody is left with half of the old page.
  "cache-control": "no-cache",
  vary: "accept-encoding",
};

/** @param load called for each file asked for */
export function page(load: () => Promise<Page>): Hono {
  const app = new Hono();
  for (const name of ["", "page.js", "page.css", "icon.svg"]) {
    app.get(`/${name}`, async (c) => answer(c, (await load()).find((file) => file.name === name)!));
  }
  return app;
}

function answer(c: Context, { type, hash, gzip }: PageFile): Response {
  const etag = `W/"${hash}"`;
  if (c.req.header("if-none-match") === etag)
    return new Response(null, { status: 304, headers: { ...HEADERS, etag } });
  const headers = { ...HEADERS, etag, "content-type": type };
  if (/\bgzip\b/.test(c.req.header("accept-encoding") ?? "")) {
    return new Response(gzip, { headers: { ...headers, "content-encoding": "gzip" } });
  }
  return new Response(new Blob([gzip]).stream().pipeThrough(new DecompressionStream("gzip")), { headers });
}
