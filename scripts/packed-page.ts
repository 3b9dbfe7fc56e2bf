/** A macro: what it answers becomes part of what is compiled. */
import { join } from "node:path";
import type { PackedFile } from "./page.ts";

/** The page's files. Asked of a program of its own: the bundler cannot be called from within itself. */
export function packedPage(): PackedFile[] {
  const packed = Bun.spawnSync([process.execPath, join(import.meta.dir, "page.ts")], { stderr: "inherit" });
  if (!packed.success) throw new Error("the page could not be bundled");
  return JSON.parse(packed.stdout.toString());
}
