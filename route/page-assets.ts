/** The page's files, where Bun finds them: inside the compiled binary, or bundled from the sources when first asked for. */
import type { Page } from "./page.ts";

let loading: Promise<Page> | null = null;

export function page(): Promise<Page> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Page> {
  // A binary is compiled with --production, which decides this then and there: it holds one of the two.
  const packed =
    process.env.NODE_ENV === "production"
      ? (await import("./page-embedded.ts")).embedded
      : await (await import("../scripts/page.ts")).packPage();
  return packed.map(({ gzip, ...file }) => ({ ...file, gzip: Uint8Array.fromBase64(gzip) }));
}
