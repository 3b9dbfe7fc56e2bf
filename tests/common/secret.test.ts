import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../../common/config.ts";
import { findSecret } from "../../common/secret.ts";

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

test("a secret is made once, for its owner alone, and is the same from then on", () => {
  const data = join(directory(), "data");
  const made = findSecret("", data, "made");
  expect([made.length, findSecret("", data, "made"), findSecret("", data, "found")]).toEqual([
    64,
    made,
    made,
  ]);
  expect(readdirSync(data)).toEqual(["secret"]);
  expect(statSync(join(data, "secret")).mode & 0o777).toBe(0o600);
});

test("a secret that is given is used, and nothing is written", () => {
  const data = join(directory(), "data");
  expect(findSecret("given by the operator", data, "made")).toBe("given by the operator");
  expect(() => statSync(data)).toThrow("ENOENT");
});

test("who may make none says which one to set", () => {
  expect(() => findSecret("", directory(), "found")).toThrow("set the CIM_SECRET that the route has");
});

// The start used to recurse for ever on what a full disk had left behind.
test("an empty secret, as a full disk leaves it, is an error that names the file", () => {
  const data = directory();
  writeFileSync(join(data, "secret"), "");
  expect(() => findSecret("", data, "made")).toThrow(`cannot make ${join(data, "secret")}`);
});

test("two directories have two secrets", () => {
  expect(findSecret("", directory(), "made")).not.toBe(findSecret("", directory(), "made"));
});

test("what is in the way of a secret is named", () => {
  const data = directory();
  mkdirSync(join(data, "secret"));
  expect(() => findSecret("", data, "made")).toThrow(`CIM_DATA: cannot read ${join(data, "secret")}`);
  writeFileSync(join(data, "file"), "");
  expect(() => findSecret("", join(data, "file"), "made")).toThrow(ConfigError);
});

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), "cim-secret-"));
  cleanups.push(() => rmSync(made, { recursive: true }));
  return made;
}

test("routes that share a store need the secret given: one made here would be nobody else's", () => {
  expect(() => findSecret("", directory(), "given")).toThrow("CIM_SECRET is not set");
});
