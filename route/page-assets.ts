/** The page's files, where Bun finds them: inside the compiled binary, or bundled from the sources when first asked for. */
import { embeddedPage } from "../scripts/page-embedded.ts" with { type: "macro" };
import type { Page } from "./page.ts";

const embedded = embeddedPage();
let loading: Promise<Page> | null = null;

export function page(): Promise<Page> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Page> {
  const packed = embedded ?? (await (await import("../scripts/page.ts")).packPage());
  return packed.map(({ gzip, ...file }) => ({ ...file, gzip: Uint8Array.fromBase64(gzip) }));
}
