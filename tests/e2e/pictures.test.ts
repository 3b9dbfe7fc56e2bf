/** The pictures in the README can be drawn again from what they show. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { consolePicture } from "../../scripts/console-picture.ts";

setDefaultTimeout(60_000);

const ROOT = join(import.meta.dir, "../..");

/** What can be read in it, without the cells it stands in. */
function words(svg: string): string {
  return [...svg.matchAll(/<text [^>]*>(.*?)<\/text>/g)].map(([, text]) => text).join("");
}

test("the console's shows a chat, with half a line typed while a message came, and so does the one that is kept", async () => {
  const [drawn, kept] = [await consolePicture(0), await Bun.file(join(ROOT, "docs/console.svg")).text()];
  for (const svg of [drawn, kept]) {
    const said = words(svg);
    const shown = ["Hello everyone 👋", "牛肉面 🍜", "stored: carol", "alice;;I will bring an umbr"];
    expect(shown.filter((text) => !said.replaceAll(" ", "").includes(text.replaceAll(" ", "")))).toEqual([]);
  }
  expect(await Bun.file(join(ROOT, "README.md")).text()).toContain("(docs/console.svg)");
});
