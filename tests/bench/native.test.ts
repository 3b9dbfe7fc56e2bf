import { expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";

const NATIVE = join(import.meta.dir, "../../bench/native");
const FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"];

for (const file of new Glob("*.c").scanSync(NATIVE)) {
  test.skipIf(!Bun.which("gcc"))(`${file} compiles without a warning`, () => {
    const command = ["gcc", ...FLAGS, "-S", "-o", "-", join(NATIVE, file)];
    const { exitCode, stderr } = Bun.spawnSync(command);
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  });
}
