/** A macro: what it answers becomes part of what is compiled. */
import { join } from "node:path";
import type { PackedFile } from "./page.ts";

/** The page's files where a binary is being compiled; null where the sources run, which are there to be bundled. */
export function embeddedPage(): PackedFile[] | null {
  // A macro runs inside of a bundle as well as in front of a program, and only the latter has a main module.
  if (Bun.main !== "") return null;
  // The bundler cannot be called from within itself.
  const packed = Bun.spawnSync([process.execPath, join(import.meta.dir, "page.ts")], { stderr: "inherit" });
  if (!packed.success) throw new Error("the page could not be bundled");
  return JSON.parse(packed.stdout.toString());
}
