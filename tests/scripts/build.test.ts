/** The build's own behaviour; what it makes is looked at in e2e/binaries.test.ts and e2e/download.test.ts. */
import { expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunningProcess } from "../support/process.ts";

async function build(args: string[], env: Record<string, string> = {}) {
  const run = new RunningProcess(["bun", "scripts/build.ts", ...args], { env });
  return { code: await run.exited, said: run.output.trim().split("\n") };
}

test("a program or a platform there is not is named, with those there are", async () => {
  const programs = "cim, cim-route, cim-server, cim-client";
  const answers = await Promise.all([
    build(["cim-amiga", "cim"]),
    build(["--platform", "amiga", "cim-client"]),
  ]);
  expect(answers).toEqual([
    { code: 1, said: [`build cim-amiga: want some of ${programs}, or none for all`] },
    { code: 1, said: [expect.stringMatching(/^build amiga: want some of linux-x64, .*, or --all/)] },
  ]);
});

test("a platform that cannot be had is one line; the others are compiled, and the exit code tells", async () => {
  const directory = await mkdtemp(join(tmpdir(), "cim-build-"));
  try {
    const here = `linux-${process.arch}`;
    // Nobody listens there: as on a machine without a network.
    const offline = {
      BUN_COMPILE_TARGET_TARBALL_URL: "http://127.0.0.1:9/bun.tgz",
      BUN_INSTALL_CACHE_DIR: join(directory, "cache"),
    };
    const platforms = ["--platform", "darwin-x64", "--platform", here];
    const outdir = join(directory, "made");
    const { code, said } = await build([...platforms, "--outdir", outdir, "cim-client"], offline);
    expect([code, said, await readdir(outdir)]).toEqual([
      1,
      [
        expect.stringMatching(/cim-client-darwin-x64: not built: Failed to download .*ConnectionRefused$/),
        expect.stringMatching(new RegExp(`cim-client-${here}  \\d+ MiB$`)),
      ],
      [`cim-client-${here}`],
    ]);
  } finally {
    await rm(directory, { recursive: true });
  }
});
