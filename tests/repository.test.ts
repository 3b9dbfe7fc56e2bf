/** Rules of the house that no type can hold. */
import { expect, onTestFinished, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { Glob } from "bun";
import { configurationPage } from "../scripts/configuration.ts";

const ROOT = join(import.meta.dir, "..");

/** What each room may import values from, besides itself. */
const ARROWS: Record<string, string[]> = {
  proto: [],
  common: ["proto"],
  server: ["proto", "common"],
  route: ["proto", "common"],
  client: ["proto", "common"],
};

test("arrows point one way: proto, what two roles share, then the roles, which never import each other", async () => {
  const transpiler = new Bun.Transpiler({ loader: "tsx" });
  const against: string[] = [];
  for (const [room, allowed] of Object.entries(ARROWS)) {
    for (const file of new Glob(`${room}/**/*.{ts,tsx}`).scanSync(ROOT)) {
      // Imports of types alone are not among them.
      for (const { path } of transpiler.scanImports(await Bun.file(join(ROOT, file)).text())) {
        if (!path.startsWith(".")) continue;
        const [target = ""] = relative(ROOT, join(ROOT, dirname(file), path)).split("/");
        if (target in ARROWS && target !== room && !allowed.includes(target))
          against.push(`${file} → ${path}`);
      }
    }
  }
  expect(against).toEqual([]);
});

test("proto/gen is what the generator writes", async () => {
  const out = await mkdtemp(join(tmpdir(), "cim-gen-"));
  onTestFinished(() => rm(out, { recursive: true }));
  const bin = join(ROOT, "node_modules/.bin");
  const buf = Bun.spawn([join(bin, "buf"), "generate", "--output", out], {
    cwd: join(ROOT, "proto"),
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
    stderr: "pipe",
  });
  expect([await buf.exited, await new Response(buf.stderr).text()]).toEqual([0, ""]);
  expect(await contents(join(out, "gen"))).toEqual(await contents(join(ROOT, "proto/gen")));
});

test("docs/configuration.md says what the table of settings says", async () => {
  expect(await Bun.file(join(ROOT, "docs/configuration.md")).text()).toBe(configurationPage());
});

test("each fault of CIM v2 has the tests that tests/README.md names", async () => {
  const readme = await Bun.file(join(import.meta.dir, "README.md")).text();
  const rows = [...readme.matchAll(/^\| (\d+) \|.*\| (.*) \|$/gm)];
  expect(rows.map(([, number]) => Number(number))).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
  const missing: string[] = [];
  for (const [, number, tests] of rows) {
    const named = [...tests!.matchAll(/([\w./-]+\.ts): ((?:"[^"]+"(?:, )?)+)/g)];
    if (named.length === 0) missing.push(`${number}: none`);
    for (const [, file, names] of named) {
      const source = await Bun.file(join(import.meta.dir, file!)).text();
      for (const [, name] of names!.matchAll(/"([^"]+)"/g)) {
        if (!source.includes(name!)) missing.push(`${number}: ${file}: ${name}`);
      }
    }
  }
  expect(missing).toEqual([]);
});

test("links in documents lead somewhere", async () => {
  const broken: string[] = [];
  const documents = ["README.md", "{deploy,docs,tests}/*.md"].flatMap((glob) => [
    ...new Glob(glob).scanSync(ROOT),
  ]);
  for (const document of documents) {
    const text = await Bun.file(join(ROOT, document)).text();
    for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link!)) continue;
      const [path, anchor] = link!.split("#") as [string, string | undefined];
      const target = path === "" ? join(ROOT, document) : join(ROOT, dirname(document), path);
      if (!existsSync(target)) broken.push(`${document}: ${link}`);
      else if (anchor !== undefined && !anchorsOf(await Bun.file(target).text()).includes(anchor))
        broken.push(`${document}: ${link}`);
    }
  }
  expect(broken).toEqual([]);
});

/** As they are made of headings: https://docs.github.com/get-started/writing-on-github */
function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} -]/gu, "")
      .replaceAll(" ", "-"),
  );
}

async function contents(directory: string): Promise<Record<string, string>> {
  const names = (await readdir(directory)).sort();
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await Bun.file(join(directory, name)).text()])),
  );
}
