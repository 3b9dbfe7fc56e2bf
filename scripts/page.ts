/** The page's files, ready to be served; run as a program, it prints them as JSON. */
import { join } from "node:path";
import { bundleForBrowser, ROOT } from "./browser.ts";

/** A file of the page as text can carry it. */
export interface PackedFile {
  /** Its path below the page's own; "" for the page itself. */
  name: string;
  type: string;
  /** Differs with its content. */
  hash: string;
  /** Compressed, in base64. */
  gzip: string;
}

const BEST_COMPRESSION = 9;
const HASH_CHARACTERS = 16;

export async function packPage(): Promise<PackedFile[]> {
  const source = (name: string) => Bun.file(join(ROOT, "client/web", name)).text();
  const [html, icon, css, js] = await Promise.all([
    source("index.html"),
    source("icon.svg"),
    bundleForBrowser("client/web/page.css"),
    bundleForBrowser("client/web/main.tsx"),
  ]);
  return [
    pack("", "text/html; charset=utf-8", html),
    pack("page.js", "text/javascript; charset=utf-8", js),
    pack("page.css", "text/css; charset=utf-8", css),
    pack("icon.svg", "image/svg+xml", icon),
  ];
}

function pack(name: string, type: string, text: string): PackedFile {
  const hash = new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, HASH_CHARACTERS);
  return { name, type, hash, gzip: Bun.gzipSync(text, { level: BEST_COMPRESSION }).toBase64() };
}

if (import.meta.main) process.stdout.write(JSON.stringify(await packPage()));
